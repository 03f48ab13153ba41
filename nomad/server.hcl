# A Nomad server for Winslow:  nomad agent -config /etc/nomad.d/server.hcl
#
# One server is enough to begin with: while it is away running stages run on, and nothing new starts. Three, on three
# machines, survive the loss of one; set bootstrap_expect to 3 and give each `-retry-join` with the others' addresses.
# A server needs little: 1 core, 1 GB of memory, a local SSD for data_dir. It may run on the machine of Winslow itself.

data_dir  = "/opt/nomad/data"
bind_addr = "0.0.0.0" # `-bind` or an `advertise` block where a machine has several addresses

server {
  enabled          = true
  bootstrap_expect = 1

  # Winslow reads what became of an attempt from Nomad, and may itself be away over a week-end. By default Nomad forgets
  # a job some four hours after its end.
  job_gc_threshold        = "72h"
  eval_gc_threshold       = "72h"
  batch_eval_gc_threshold = "72h"
  node_gc_threshold       = "168h"

  # A node is told lost after about this long without a sign (to which Nomad adds 10 to 20 s). Nothing is run twice when
  # that is wrong, but people are alarmed by it, and a busy workstation may well be silent for some seconds.
  heartbeat_grace = "30s"

  # Events that a stream can be caught up with; the default of 100 covers about a second of a busy cluster. What is
  # missed costs Winslow a comparison of all lists, never an outcome.
  event_buffer_size = 10000

  # Read when the cluster is made; later: nomad operator scheduler set-config.
  default_scheduler_config {
    # `memory_max` of a stage: more than is reserved, as long as the node has it.
    memory_oversubscription_enabled = true
    # Fill one node before the next is begun: what is left over is room for something large.
    scheduler_algorithm = "binpack"
    # A stage that ran for a day is not thrown out for one that is more important. Priority orders who starts next.
    preemption_config {
      batch_scheduler_enabled    = false
      service_scheduler_enabled  = false
      sysbatch_scheduler_enabled = false
      system_scheduler_enabled   = false
    }
  }
}

# Docker's mounts (client.hcl) let whoever may submit a job bind any directory of a node. So nobody may but Winslow:
# policy-winslow.hcl tells how its token is made.
acl {
  enabled = true
  # How long a token may live: by default a day, which no token of a service is made for.
  token_max_expiration_ttl = "8784h"
}

# Connections from one address: the event stream, requests, and one for each log that is followed on a screen.
limits {
  http_max_conns_per_client = 300
}
