# Added to policy-winslow.hcl where administrators shall drain nodes from Winslow's screens:
#   nomad acl policy apply winslow-nodes policy-winslow-nodes.hcl
#   nomad acl token create -name winslow -policy winslow -policy winslow-nodes -ttl 8760h
# Nomad does not tell draining from removing a node from the cluster: this allows both.

node {
  policy = "write"
}
