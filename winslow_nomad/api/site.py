"""The web UI as it was built: files with hashed names are kept by browsers for ever, the page itself is asked for anew.
Any other path is the page too, since it draws what the address says."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

SITE = Path(__file__).parents[1] / "site"
NO_PAGES = ("api", "assets")  # a route or a file that is not there is no page
FOR_EVER = "public, max-age=31536000, immutable"
NOT_BUILT = """<!doctype html><html lang="en"><title>Winslow</title><body style="font: 15px system-ui; margin: 3rem">
<h1>The web UI is not part of this installation</h1>
<p>The server runs, and the command line and the REST API work. <code>make ui</code> builds the web UI in a checkout;
a released package has it.</p></body></html>"""


class Site(StaticFiles):
    """Files of the built UI; without one of that name, the page."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder)
        self._page = folder / "index.html"

    async def get_response(self, path: str, scope: Scope) -> Response:
        try:
            found, _ = self.lookup_path(path)
        except (ValueError, OSError):
            found = ""  # no file can have such a name
        if found and Path(found).is_file():
            answer = await super().get_response(path, scope)
            if path.startswith("assets/"):
                answer.headers["cache-control"] = FOR_EVER
            return answer
        if path.partition("/")[0] in NO_PAGES:
            raise HTTPException(404, "There is no such address.")
        return FileResponse(self._page, headers={"cache-control": "no-cache"})


def add_site(app: FastAPI) -> None:
    """It answers what no route does. Not mounted: a mount would take a known address that is asked by another method,
    and call it unknown."""
    site = Site(SITE) if (SITE / "index.html").is_file() else None
    unknown = app.router.default

    async def otherwise(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            await unknown(scope, receive, send)
        elif site is not None:
            await site(scope, receive, send)
        elif scope["path"] == "/":
            await HTMLResponse(NOT_BUILT)(scope, receive, send)
        else:
            await unknown(scope, receive, send)

    app.router.default = otherwise
