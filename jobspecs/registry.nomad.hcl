# An image registry for a team that has none:  nomad job run registry.nomad.hcl
# Push to it with `docker push NODE:5000/traffic:1`, and name that image in the pipeline. Docker refuses a registry
# without TLS unless every node lists it: {"insecure-registries": ["NODE:5000"]} in /etc/docker/daemon.json; so does
# Winslow: `-var insecure_registries=NODE:5000` of winslow.nomad.hcl, or its setting registries.insecure. Give it a
# certificate where others share the network: anyone who reaches the port may replace an image. Winslow pins the
# digest when a stage is submitted, so a replaced image is never mixed into a stage that is under way.

variable "image" {
  type        = string
  description = "The reference implementation of the distribution project"
  default     = "registry:3"
}

variable "run_as" {
  type        = string
  description = "uid:gid that owns the volume"
  default     = "1000:1000"
}

variable "port" {
  type    = number
  default = 5000
}

job "winslow-registry" {
  namespace = "winslow-system"
  type      = "service"
  priority  = 80

  group "registry" {
    network {
      port "registry" {
        static = var.port
        to     = 5000
      }
    }

    volume "images" {
      type      = "host"
      source    = "winslow-registry"
      read_only = false
    }

    restart {
      attempts = 10
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    # The images are on this one node.
    reschedule {
      attempts  = 0
      unlimited = false
    }
    disconnect {
      lost_after = "8760h"
      replace    = false
    }

    service {
      name     = "winslow-registry"
      provider = "nomad"
      port     = "registry"

      check {
        type     = "http"
        path     = "/v2/"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "registry" {
      driver = "docker"
      user   = var.run_as

      config {
        image = var.image
        ports = ["registry"]
      }

      env {
        # Old images can be deleted by the API, and their space is given back by the registry's own garbage collection.
        REGISTRY_STORAGE_DELETE_ENABLED = "true"
      }

      volume_mount {
        volume      = "images"
        destination = "/var/lib/registry"
      }

      resources {
        cpu        = 200
        memory     = 256
        memory_max = 1024
      }
    }
  }
}
