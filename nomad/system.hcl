# What the one node that Winslow itself runs on has beside client.hcl, if it runs on Nomad (jobspecs/):
#   nomad agent -config /etc/nomad.d/client.hcl -config /etc/nomad.d/system.hcl -servers SERVER:4647
# The directories, on a local disk (never on the share), belong to the user that Winslow's containers run as:
#   install -d -m 700 -o 1000 -g 1000 /var/lib/winslow /var/lib/winslow-registry

client {
  # Store, key of the secrets, settings. One node only has this volume, so that there is one store.
  host_volume "winslow-home" {
    path      = "/var/lib/winslow"
    read_only = false
  }

  # Images, if the team has no registry of its own.
  host_volume "winslow-registry" {
    path      = "/var/lib/winslow-registry"
    read_only = false
  }
}
