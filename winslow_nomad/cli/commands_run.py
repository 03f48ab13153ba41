"""Declares the commands that run things: run, up, controller, worker."""

from __future__ import annotations

from typing import Annotated

import typer

from winslow_nomad.cli import doors, options


def register(app: typer.Typer) -> None:
    app.command("run")(run)
    app.command("up")(up)
    app.command("controller")(controller)
    app.command("worker")(worker)


def run(
    context: typer.Context,
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="A pipeline file or folder.")] = "",
    resume: Annotated[str, typer.Option("--resume", metavar="PROJECT", help="Go on with this project.")] = "",
    name: Annotated[str, typer.Option("--name", help="The project's name.")] = "",
    set_: options.Set = None,
    inputs: options.Inputs = None,
    sweep: options.Sweeps = None,
    secret: options.Secrets = None,
    tag: options.Tags = None,
    driver: Annotated[str, typer.Option("--driver", help="What runs the stages.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Answer every confirmation with go.")] = False,
    json: options.Json = False,
) -> None:
    """Run a pipeline until it has ended or asks you.

    Exit codes: 0 succeeded, 1 failed, 2 wrong usage, 3 waits for a person, 4 stopped, 5 unreachable.
    Ctrl-C pauses; what runs goes on by itself, and --resume joins it again.
    """
    from winslow_nomad.cli.run import Wish
    from winslow_nomad.cli.run import run as run_it

    wish = Wish(
        pipeline=pipeline,
        resume=resume,
        name=name,
        values=tuple(set_ or ()),
        inputs=tuple(inputs or ()),
        sweeps=tuple(sweep or ()),
        secrets=tuple(secret or ()),
        tags=tuple(tag or ()),
        driver=driver,
        yes=yes,
        as_json=json,
    )
    raise typer.Exit(run_it(doors.of(context), wish))


def up(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port to listen on; else 8800, or a free one.")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this machine without TLS: passwords can be read.")
    ] = False,
) -> None:
    """Run everything on this machine, until Ctrl-C.

    Stages, the REST API and the web UI, in the foreground; other terminals can give commands meanwhile.
    """
    import logging
    import shlex
    import sys

    from winslow_nomad.bootstrap.logs import write_logs
    from winslow_nomad.cli.interrupt import Interrupt

    write_logs(logging.INFO)
    door = doors.of(context)
    with door.front(host, port, insecure) as front, door.engine(door.driver), Interrupt() as interrupt:
        sys.stdout.write(
            f"Winslow runs stages here with the driver {door.driver}. Its data is in {door.home}.\n"
            f"Its pages are at {front.address}; how to log in follows.\n"
            f"In another terminal: WINSLOW_HOME={shlex.quote(str(door.home))} winslow projects\n"
            "Ctrl-C ends it; stages that run go on by themselves.\n"
        )
        sys.stdout.flush()
        interrupt.wait(front.keep)


def controller(context: typer.Context) -> None:
    """Follow the driver and keep the time. One is active, others stand by."""
    doors.of(context).serve("controller")


def worker(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="operations", help="Only copying, unpacking and deleting.")] = "",
) -> None:
    """Carry out what was decided.

    With `operations`: only the long work on files.
    """
    if what not in ("", "operations"):
        raise typer.BadParameter(f"{what!r} is not a kind of worker; there is only: operations")
    doors.of(context).serve(what or "worker")
