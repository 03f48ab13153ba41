# Where Winslow itself runs, if it runs on Nomad (jobspecs/):  nomad namespace apply namespace-system.hcl
# Apart from the attempts, whose token may submit and stop jobs in their namespace.

name        = "winslow-system"
description = "Winslow itself: store, controller, worker, API, image registry."

capabilities {
  enabled_task_drivers = ["docker"]
}
