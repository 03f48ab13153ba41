# Where attempts run:  nomad namespace apply namespace.hcl
# Nothing else lives here, so that Winslow's token reaches nothing else, lists stay small, and whoever looks at Nomad
# sees at once what is whose.

name        = "winslow"
description = "Attempts of Winslow's stages. Winslow alone submits here."

capabilities {
  enabled_task_drivers = ["docker"]
}
