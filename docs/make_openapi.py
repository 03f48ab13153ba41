"""Writes the description of the REST API as JSON: `python docs/make_openapi.py FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from winslow_nomad.api.app import described

if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(described().openapi(), indent=1) + "\n", encoding="utf-8")
