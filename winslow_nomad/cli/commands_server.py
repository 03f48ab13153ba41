"""Declares the command that serves the API."""

from __future__ import annotations

from typing import Annotated

import typer

from winslow_nomad.cli import doors


def register(app: typer.Typer) -> None:
    app.command("serve")(serve)


def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port to listen on; 0: a free one.")] = 8800,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without TLS: passwords can be read.")
    ] = False,
) -> None:
    """Serve the REST API and live updates, until told to end.

    Several may run side by side, on one port too.
    """
    doors.of(context).serve_api(host, port, insecure)
