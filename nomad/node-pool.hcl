# A pool of nodes that is used only by stages that name it (`placement: {pool: gpu}`):
#   nomad node pool apply node-pool.hcl
# and `node_pool = "gpu"` in the client.hcl of its nodes. Worth it where stages without GPUs would fill the GPU nodes.
# Nodes in one pool have the share at one path; where a path differs, make a pool for it.

node_pool "gpu" {
  description = "Nodes kept for stages that need a GPU"
}
