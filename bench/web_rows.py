"""Projects for the measurements of the web UI, put into the store of $WINSLOW_HOME as commits write them:
`python -m bench.web_rows [--projects 10000]`. Only for a home that is thrown away: they have rows, and no records."""

from __future__ import annotations

import argparse
import os

from bench.projects_list import fill
from winslow_nomad import config
from winslow_nomad.bootstrap.installation import Installation


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--projects", type=int, default=10_000)
    count = parser.parse_args().projects
    installation = Installation(config.load(os.environ))
    try:
        seconds, size = fill(installation, count)
    finally:
        installation.close()
    print(f"{count} projects, rows of {size} bytes, in {seconds:.1f} s")


if __name__ == "__main__":
    main()
