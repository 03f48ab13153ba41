"""`python -m winslow_nomad.cli`: the command line where no script is installed."""

from winslow_nomad.cli.main import main

main()
