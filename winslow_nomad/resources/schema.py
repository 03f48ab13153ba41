"""The schema of pipeline files for editors, from the table that the parser uses:

    python -m winslow_nomad.resources.schema > docs/pipeline.schema.json

An editor cannot know everything the parser checks (names that exist, circles); it shows keys and kinds."""

from __future__ import annotations

import json
import sys

from winslow_nomad.resources.pipeline_keys import FORMAT, PIPELINE
from winslow_nomad.resources.shapes import Schema


def schema() -> Schema:
    """JSON Schema, draft 2020-12."""
    found = PIPELINE.schema()
    found["properties"]["winslow"] = {"const": FORMAT, "description": found["properties"]["winslow"]["description"]}
    # defaults that a stage gets from `defaults:` are not seen by an editor; only the id is always its own
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Winslow pipeline"} | found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n")
