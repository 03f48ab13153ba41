# What a GPU node has beside client.hcl:
#   nomad agent -config /etc/nomad.d/client.hcl -config /etc/nomad.d/gpu.hcl -servers SERVER:4647
#
# Needs NVIDIA's driver, its container toolkit with the docker runtime `nvidia` (nvidia-ctk runtime configure), and
# Nomad's plugin nomad-device-nvidia in plugin_dir. Docker's default runtime should stay `runc`: where it is `nvidia`,
# a stage that asked for no GPU could see them all.

plugin_dir = "/opt/nomad/plugins"

plugin "nomad-device-nvidia" {
  config {
    enabled            = true
    ignored_gpu_ids    = [] # for example the card of the screen, by its UUID (nvidia-smi -L)
    fingerprint_period = "30s"
  }
}
