# A node that runs stages:  nomad agent -config /etc/nomad.d/client.hcl -servers SERVER:4647
#
# The same file suits every node; a GPU node takes gpu.hcl as well. Before it is started:
#   - docker is installed (and, for gpu.hcl, NVIDIA's container toolkit): the agent looks at docker's runtimes only when
#     it starts, so restart it after installing one;
#   - the share is mounted at /srv/winslow. Nomad looks at that only when it starts, too.

data_dir  = "/opt/nomad/data" # on a local disk, with room for logs of stages that write faster than the share takes them
bind_addr = "0.0.0.0"

client {
  enabled   = true
  node_pool = "default"

  meta {
    # What stages may ask for by `placement: {require: [fast-disk]}`, separated by commas.
    winslow_tags = ""
  }

  # Jobs are placed only on nodes that have this volume. It is never mounted as a whole: an attempt gets its own
  # directories by docker's `mount`. The name is the one in the settings of Winslow.
  host_volume "winslow-share" {
    path      = "/srv/winslow"
    read_only = false
  }

  # Containers are the only thing that runs here: not `exec`, not `java`, not a machine under qemu.
  options = {
    "driver.allowlist" = "docker"
  }

  # How long a stage may take to end after it was told to (`stop_grace`: the time to write a checkpoint). Nomad's
  # default cuts every stage off after 30 s.
  max_kill_timeout = "24h"

  # Allocations whose directories stay on the node. In them is what the share did not get when a node went down hard.
  # By default the oldest go as soon as there are 50, running ones counted.
  gc_max_allocs            = 500
  gc_disk_usage_threshold  = 90
  gc_inode_usage_threshold = 90

  # For the system, docker and the page cache of the share. In MB and MHz.
  reserved {
    cpu    = 500
    memory = 2048
    disk   = 10240
  }
}

# The servers' rules hold for this agent's own address only where it is told so. Without this, whoever reaches the node
# reads the files of its stages, ends them, and gets a shell in them, without any token.
acl {
  enabled = true
}

plugin "docker" {
  config {
    # Docker's `mount` of a host path, which gives an attempt its own directories, is refused without this.
    volumes {
      enabled = true
    }

    # What a stage's image asks for, no stage gets.
    allow_privileged = false
    allow_runtimes   = ["runc", "nvidia"]

    # Images of GPU software have 10 GB and more. By default the transfer is given up after 5 minutes, and the image is
    # thrown away 3 minutes after its last stage ended, to be fetched again for the next.
    image_pull_timeout    = "2h"
    pull_activity_timeout = "15m"
    gc {
      image       = true
      image_delay = "240h"
      container   = true
      # Containers of an agent that lost its data directory: nobody else would end them.
      dangling_containers {
        enabled        = true
        period         = "5m"
        creation_grace = "5m"
      }
    }

    # Shown by `docker ps`, for whoever sits at the machine and wonders.
    extra_labels = ["job_name", "node_name"]
  }
}
