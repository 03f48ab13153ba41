"""Puts what is said on the live socket into the description of the API, which has no place for sockets of its own: as a
webhook, so that clients take its types from there like all others."""

from __future__ import annotations

from fastapi import FastAPI

from winslow_nomad.api.live.messages import ClientMessage, ServerMessage


def describe(app: FastAPI) -> None:
    @app.webhooks.post("live", summary="What is said on the live socket, in both directions", tags=["live"])
    def live(body: ClientMessage) -> ServerMessage:  # type: ignore[empty-body]
        """Not an operation: connect a WebSocket to /api/v1/live. Each message is a text with one of these objects: what
        a client says here is the body, what it hears the answer. The socket is closed with 4401 when the session or
        token has ended, 4403 when it may follow nothing, 1013 when there are too many sockets or the client does not
        read, 1012 when the server starts anew."""
