# The rights of Winslow's token, and no more:
#   nomad acl policy apply winslow policy-winslow.hcl
#   nomad acl token create -name winslow -policy winslow -ttl 8760h
#
# Whoever has this token can run containers with any directory of a node in them. It belongs into the environment of
# controller, worker and API, in a file that only they can read, and nowhere else.

namespace "winslow" {
  capabilities = [
    "list-jobs",  # lists, which are compared with what should be
    "read-job",   # jobs, allocations, evaluations and their events; checking a job before it is submitted
    "submit-job", # start, stop, and ask why something waits (plan)
    "read-fs",    # the end of a log that the share did not get, from the node's disk
  ]
}

# To place jobs on the nodes that have the share.
host_volume "winslow-share" {
  capabilities = ["mount-readwrite"]
}

# Nodes with their devices and their use. Read only: draining is policy-winslow-nodes.hcl.
node {
  policy = "read"
}

# Whether a task may use more memory than is reserved for it.
operator {
  policy = "read"
}
