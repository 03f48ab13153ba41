# Winslow on Nomad: controller, worker, files, API.  After store.nomad.hcl:
#   nomad acl policy apply -namespace winslow-system -job winslow winslow-itself ../nomad/policy-winslow.hcl
#   nomad job run winslow.nomad.hcl
# The first command gives the job's own identity the rights that Winslow needs; there is no token to keep. All of it runs
# on the node with the volume `winslow-home` (nomad/system.hcl). An upgrade is the second command with another image:
# stages run on meanwhile, and nothing that was acknowledged is lost. With TLS (nomad/tls.hcl):
#   nomad job run -var tls=/etc/winslow/tls winslow.nomad.hcl

variable "image" {
  type        = string
  description = "Made by the Dockerfile at the top of the project"
  default     = "winslow:0.1"
}

variable "run_as" {
  type        = string
  description = "uid:gid that owns volume and share; stages run as it, too"
  default     = "1000:1000"
}

variable "share" {
  type        = string
  description = "Where the nodes have the share; containers of Winslow see it under the same path"
  default     = "/srv/winslow"
}

variable "tls" {
  type        = string
  description = "Directory of the node with ca.pem, cli.pem and cli-key.pem, where Nomad's API is reached by https"
  default     = ""
}

variable "https" {
  type        = string
  description = "Directory of the node with cert.pem and key.pem, the certificate of API and user interface"
  default     = "/etc/winslow/https"
}

variable "proxies" {
  type        = string
  description = "Instead: addresses or networks of reverse proxies that do TLS, with commas between them"
  default     = ""
}

variable "insecure_registries" {
  type        = string
  description = "Registries of images without TLS, such as that of registry.nomad.hcl: NODE:5000, with commas between"
  default     = ""
}

variable "port" {
  type        = number
  description = "Of API and user interface"
  default     = 8800
}

variable "workers" {
  type        = number
  description = "One advances some hundred projects a second; a second one covers for it while it is restarted"
  default     = 2
}

locals {
  processes = {
    # A second one would stand by; on one node it covers for nothing that a restart does not.
    controller = { args = ["controller"], count = 1 }
    worker     = { args = ["worker"], count = var.workers }
    # Copying, unpacking, deleting: work that takes minutes to hours. What a restart interrupts starts anew.
    files = { args = ["worker", "operations"], count = 1 }
  }

  environment = merge({
    WINSLOW_HOME   = "/var/lib/winslow"
    WINSLOW_SHARE  = var.share
    WINSLOW_DRIVER = "nomad"
    REDIS_URL      = "unix:///var/lib/winslow/store.sock"
    # The agent of the node that the container is on.
    NOMAD_ADDR = "${var.tls == "" ? "http" : "https"}://${attr.unique.network.ip-address}:4646"
    # That of attempts: Nomad itself would set the one of this job.
    NOMAD_NAMESPACE             = "winslow"
    WINSLOW_REGISTRIES_INSECURE = var.insecure_registries
    }, var.tls == "" ? {} : {
    NOMAD_CACERT      = "/tls/ca.pem"
    NOMAD_CLIENT_CERT = "/tls/cli.pem"
    NOMAD_CLIENT_KEY  = "/tls/cli-key.pem"
    # The agents' certificates name their roles; the agent on the node is a client.
    NOMAD_TLS_SERVER_NAME = "client.global.nomad"
  })
  # Passwords and cookies never go in the clear.
  front = var.proxies != "" ? { WINSLOW_TRUSTED_PROXIES = var.proxies } : {
    WINSLOW_TLS_CERTIFICATE = "/https/cert.pem"
    WINSLOW_TLS_KEY         = "/https/key.pem"
  }
  front_mounts = var.proxies != "" ? [] : [{ type = "bind", source = var.https, target = "/https", readonly = true }]
  mounts       = var.tls == "" ? [] : [{ type = "bind", source = var.tls, target = "/tls", readonly = true }]
}

job "winslow" {
  namespace = "winslow-system"
  type      = "service"
  priority  = 80

  # A new version is running before the next group is touched.
  update {
    max_parallel     = 1
    min_healthy_time = "15s"
    healthy_deadline = "5m"
    auto_revert      = true
  }

  dynamic "group" {
    for_each = local.processes
    labels   = [group.key]

    content {
      count = group.value.count

      volume "home" {
        type      = "host"
        source    = "winslow-home"
        read_only = false
      }
      volume "share" {
        type      = "host"
        source    = "winslow-share"
        read_only = false
      }

      # While the store is away all of it ends and starts again.
      restart {
        attempts = 10
        interval = "5m"
        delay    = "5s"
        mode     = "delay"
      }

      task "winslow" {
        driver = "docker"
        user   = var.run_as

        # The job's own token, in NOMAD_TOKEN.
        identity {
          env = true
        }

        config {
          image = var.image
          args  = group.value.args
          mount = local.mounts
        }
        env = local.environment

        volume_mount {
          volume      = "home"
          destination = "/var/lib/winslow"
        }
        volume_mount {
          volume      = "share"
          destination = var.share
        }

        kill_timeout = "30s"
        resources {
          cpu        = 500
          memory     = 384
          memory_max = 2048
        }
      }
    }
  }

  group "api" {
    network {
      port "api" {
        static = var.port
        to     = 8800
      }
    }

    volume "home" {
      type      = "host"
      source    = "winslow-home"
      read_only = false
    }
    volume "share" {
      type      = "host"
      source    = "winslow-share"
      read_only = false
    }

    restart {
      attempts = 10
      interval = "5m"
      delay    = "5s"
      mode     = "delay"
    }

    # Found by `nomad service info -namespace winslow-system winslow`.
    service {
      name     = "winslow"
      provider = "nomad"
      port     = "api"

      check {
        type     = "tcp"
        interval = "10s"
        timeout  = "2s"
      }
    }

    task "winslow" {
      driver = "docker"
      user   = var.run_as

      identity {
        env = true
      }

      config {
        image = var.image
        args  = ["serve", "--host", "0.0.0.0", "--port", "8800"]
        ports = ["api"]
        mount = concat(local.mounts, local.front_mounts)
      }
      env = merge(local.environment, local.front)

      volume_mount {
        volume      = "home"
        destination = "/var/lib/winslow"
      }
      volume_mount {
        volume      = "share"
        destination = var.share
      }

      kill_timeout = "30s"
      resources {
        cpu        = 500
        memory     = 512
        memory_max = 2048
      }
    }
  }
}
