"""What came of asking several projects at once."""

from __future__ import annotations

from winslow_nomad.api.views.base import Answer, example


class Done(Answer):
    """`status` as if the project had been asked alone; `code`, `title` and `hint` where it refused."""

    project: str
    status: int
    state: str = ""
    version: int = 0
    code: str = ""
    title: str = ""
    hint: str = ""


class BulkAnswer(Answer):
    """One for each project, in the order asked."""

    items: list[Done]

    model_config = example(
        items=[
            {"project": "pk3m8x2w9qf4t", "status": 200, "state": "paused", "version": 32},
            {"project": "p7d2nq8r5vbxc", "status": 404, "code": "project.not_found",
             "title": "There is no project 'p7d2nq8r5vbxc'."},
        ]
    )  # fmt: skip
