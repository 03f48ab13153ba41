# The store of an installation that runs on Nomad:  nomad job run store.nomad.hcl
# Its data is in the volume `winslow-home` of one node (nomad/system.hcl). It has no network: controller, worker and API
# run on the same node and reach it by a socket in that volume, so there is no password to keep and no port to guard.

variable "image" {
  type        = string
  description = "Winslow's image, which brings the server that it is tested with"
  default     = "winslow:0.1"
}

variable "run_as" {
  type        = string
  description = "uid:gid that owns the volume"
  default     = "1000:1000"
}

job "winslow-store" {
  namespace = "winslow-system"
  type      = "service"
  # Before anything else when the node comes up.
  priority = 90

  group "store" {
    volume "home" {
      type      = "host"
      source    = "winslow-home"
      read_only = false
    }

    # Always again: everything waits for it.
    restart {
      attempts = 10
      interval = "5m"
      delay    = "2s"
      mode     = "delay"
    }
    reschedule {
      attempts  = 0
      unlimited = false
    }

    # Nowhere else while its node is out of sight, and no second one when it comes back.
    disconnect {
      lost_after = "8760h"
      replace    = false
    }

    task "store" {
      driver = "docker"
      user   = var.run_as

      config {
        image        = var.image
        entrypoint   = ["valkey-server"]
        network_mode = "none"
        args = [
          "--port", "0",
          "--unixsocket", "/var/lib/winslow/store.sock",
          "--unixsocketperm", "700",
          "--dir", "/var/lib/winslow",
          # What was answered is on the disk. Without these Winslow does not start, or warns on every screen.
          "--appendonly", "yes",
          "--appendfsync", "always",
          "--maxmemory-policy", "noeviction",
        ]
      }

      volume_mount {
        volume      = "home"
        destination = "/var/lib/winslow"
      }

      # To write what it holds when it is told to end.
      kill_timeout = "2m"

      resources {
        cpu        = 500
        memory     = 512
        memory_max = 4096
      }
    }
  }
}
