"""Writes the description of the REST API as JSON: `python docs/make_openapi.py FILE`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fastapi import FastAPI

from winslow_nomad import __version__
from winslow_nomad.api.app import routers

if __name__ == "__main__":
    app = FastAPI(title="Winslow", version=__version__, separate_input_output_schemas=False)
    for router in routers():
        app.include_router(router)
    Path(sys.argv[1]).write_text(json.dumps(app.openapi(), indent=1) + "\n", encoding="utf-8")
