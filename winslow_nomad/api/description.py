"""Completes the description of the API with what holds for every operation, so that no route has to say it and none can
forget it: which problems it may answer with, as the doors, the framework and the store make them."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute

from winslow_nomad.api.authority import rule_of
from winslow_nomad.api.problems import MEDIA_TYPE
from winslow_nomad.core.access import RULES

REFERENCE = "#/components/schemas/HTTPValidationError"  # the framework's own, which nobody answers
PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
WORDS = {
    400: "The request cannot be read",
    401: "Nobody is logged in, or the token is not valid",
    403: "It is not allowed",
    404: "There is no such thing, or it is not to be seen",
    413: "The request is too large",
    422: "The request is not as it should be",
    503: "The store, the share or a driver cannot be reached; nothing is lost",
}


def complete(description: dict[str, Any], routes: list[APIRoute]) -> None:
    """In place. What a route says itself stays as it is."""
    for route in routes:
        for method in route.methods or ():
            operation = description["paths"].get(route.path_format, {}).get(method.lower())
            if operation is None:
                continue
            responses = operation["responses"]
            for status in problems_of(route, operation):
                responses.setdefault(str(status), {"description": WORDS[status], "content": PROBLEM})
            for said in responses.values():
                content = said.get("content", {})
                if MEDIA_TYPE in content or REFERENCE in str(content):
                    said["content"] = PROBLEM  # the framework writes the model down for JSON of any kind
            operation["responses"] = dict(sorted(responses.items()))
    for item in description.get("webhooks", {}).values():  # no requests, so no answers but what is said
        for operation in item.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        description["components"]["schemas"].pop(name, None)


def problems_of(route: APIRoute, operation: dict[str, Any]) -> set[int]:
    found = set()
    action = rule_of(route)
    if action is not None:
        found |= {401, 403, 503}
        if RULES[action].member is not None:
            found.add(404)
    if operation.get("parameters"):
        found.add(422)
    if "requestBody" in operation:
        found |= {400, 413, 422}
    return found
