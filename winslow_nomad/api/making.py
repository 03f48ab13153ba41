"""From the form of a new project to the command that makes it."""

from __future__ import annotations

import hashlib
import secrets

from winslow_nomad.api.authority import check_project
from winslow_nomad.api.commanding import forget, put_secrets
from winslow_nomad.api.inputs import check_inputs
from winslow_nomad.api.services import Services
from winslow_nomad.api.sweeping import grid
from winslow_nomad.api.views.making import NewProject, PipelineChoice
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import EVERYONE, Action, Principal
from winslow_nomad.core.errors import Conflict, Invalid, NotFound, Refused
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Member, Project

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"


def make(given: Services, who: Principal, body: NewProject, key: str) -> Project:
    """The project after it was made. The same key again answers the same project, and makes none."""
    project = identity(who, key)
    pipeline = chosen(given, who, body.pipeline)
    for name in body.secrets:
        if name not in pipeline.secrets:
            raise NotFound(
                f"The pipeline has no secret {name[:100]!r}.",
                hint=f"It has {', '.join(pipeline.secrets) or 'none'}.",
                code="secret.unknown",
            )
    made: list[str] = []
    request = hashlib.sha256(body.model_dump_json().encode()).hexdigest() if key else ""
    try:
        command = m.CreateProject(
            project=project,
            name=body.name,
            pipeline=pipeline,
            driver=body.driver or given.defaults.driver,
            values=body.values,
            secrets={n: str(r) for n, r in put_secrets(given, {**body.secrets}, made).items()},
            tags=tuple(body.tags),
            priority=body.priority,
            participants=participants(given, who, body.participants),
            sweeps={stage: grid(pipeline, axes) for stage, axes in body.sweeps.items()},
            start=body.start,
            actor=who.user,
        )
        check_inputs(given, who, pipeline, command)
        after = given.client.send(project, command, key=key, request=request)
    except (Invalid, NotFound, Refused, Conflict):
        forget(given, made)
        raise
    forget(given, [r for r in made if r not in after.secrets.values()])
    return after


def identity(who: Principal, key: str) -> str:
    """An id that nobody has to guess; of a key always the same one, so that repeating makes no second project."""
    if not key:
        return "p" + "".join(secrets.choice(LETTERS) for _ in range(12))
    number = int.from_bytes(hashlib.sha256(f"{who.user}\0{key}".encode()).digest(), "big")
    letters = []
    for _ in range(12):
        number, at = divmod(number, len(LETTERS))
        letters.append(LETTERS[at])
    return "p" + "".join(letters)


def chosen(given: Services, who: Principal, choice: PipelineChoice) -> Pipeline:
    """What the project gets a copy of. Raises NotFound, InvalidPipeline."""
    if choice.library:
        return given.library.version(choice.library, choice.version).pipeline
    if choice.project:
        return check_project(given, who, Action.VIEW_PROJECT, choice.project).pipeline
    if choice.folder:
        return given.texts.of_folder(choice.folder)
    pipeline = given.texts.parse(choice.text)
    given.texts.remember(pipeline, choice.text)
    return pipeline


def participants(given: Services, who: Principal, asked: list[Member] | None) -> tuple[Member, ...]:
    """The author is always one of them."""
    author = Member(user=who.user, role="owner")
    if asked is None:
        asked = [Member(user=f"@{EVERYONE}")] if given.defaults.open_projects else []
    return (author, *(p for p in asked if p.user != who.user))
