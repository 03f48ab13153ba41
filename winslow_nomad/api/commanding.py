"""From a request to a command and back to what the project is then: the actor, the key, the version that was seen."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

from fastapi import Header

from winslow_nomad.api.authority import check_project
from winslow_nomad.api.inputs import check_inputs
from winslow_nomad.api.services import Services
from winslow_nomad.api.views.commands import EditPipelineBody, SetSecretsBody, TagBody, action_of
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import RANKS, Principal, Role
from winslow_nomad.core.errors import Conflict, Invalid, NotFound, Refused, VersionChanged
from winslow_nomad.core.project import Project

IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="The same request again under the same key, within a day, is answered and not done again.",
    ),
]
IfMatch = Annotated[
    str,
    Header(
        alias="If-Match",
        max_length=40,
        description='The project\'s version as it was seen, `"31"`; 412 where it is another by now.',
    ),
]
_VERSION = re.compile(r'\s*(?:W/)?"?([0-9]{1,15})"?\s*\Z', re.ASCII)


def etag(project: Project) -> str:
    return f'"{project.version}"'


def seen(if_match: str) -> int | None:
    """The version in an If-Match; None: whichever. Raises Invalid."""
    if not if_match or if_match.strip() == "*":
        return None
    found = _VERSION.match(if_match)
    if found is None:
        raise Invalid(
            f"{if_match[:40]!r} is no version of a project; nothing was done.",
            hint="Send the ETag of an answer about it.",
            code="request.if_match",
        )
    return int(found[1])


def send(
    given: Services, who: Principal, project: str, body: Any, *, key: str = "", expected: int | None = None
) -> Project:
    """Carry out a body of views.commands, once it is sure that `who` may. Raises what the core refuses with."""
    found = check_project(given, who, action_of(body), project)
    request = request_hash(project, body) if key else ""
    if body.kind == "describe":
        check_author(given, body.author, found.author)
    if isinstance(body, TagBody) and expected is None:
        return _tag(given, who, found, body, key, request)
    made: list[str] = []
    command = command_of(given, who, found, body, made)
    check_inputs(given, who, found.pipeline, command)
    try:
        after = given.client.send(project, command, key=key, request=request, expected=expected)
    except (Invalid, NotFound, Refused, Conflict):  # not after an outcome that nobody knows
        forget(given, made)
        raise
    forget(given, [r for r in made if r not in after.secrets.values()])
    return after


def check_author(given: Services, name: str | None, present: str) -> None:
    """What belongs to a name that nobody has would be out of its owner's reach, and belong to whoever gets that name
    one day. Raises Invalid."""
    if name is None or name == present:
        return
    try:
        person = given.people.person(name)
    except NotFound:
        person = None
    if person is None or not person.active or RANKS[person.role] < RANKS[Role.MEMBER]:
        raise Invalid(
            f"{name[:60]!r} cannot be the author: only an active person with the role member or more can. "
            "Nothing was changed.",
            hint="GET /users lists people.",
            code="people.author",
        )


def _tag(given: Services, who: Principal, project: Project, body: TagBody, key: str, request: str) -> Project:
    """On the version that the tags were read from; again when somebody was quicker."""
    while True:
        command = command_of(given, who, project, body, [])
        try:
            return given.client.send(project.id, command, key=key, request=request, expected=project.version)
        except VersionChanged:
            project = given.client.project(project.id)


def command_of(given: Services, who: Principal, project: Project, body: Any, made: list[str]) -> m.AnyCommand:
    """`made`: gets the references of secrets that were put for it."""
    if isinstance(body, SetSecretsBody):
        unknown = [n for n in body.secrets if n not in project.pipeline.secrets]
        if unknown:  # nothing is stored that nobody asked for
            raise NotFound(
                f"The pipeline has no secret {unknown[0][:100]!r}.",
                hint=f"It has {', '.join(project.pipeline.secrets) or 'none'}.",
                code="secret.unknown",
            )
        return m.SetSecrets(secrets=put_secrets(given, body.secrets, made), actor=who.user)
    if isinstance(body, EditPipelineBody):
        if body.library:
            pipeline = given.library.version(body.library, body.version).pipeline
            return m.EditPipeline(pipeline=pipeline, expected_version=body.expected_version, actor=who.user)
        if body.folder:
            pipeline = given.texts.of_folder(body.folder)
            return m.EditPipeline(pipeline=pipeline, expected_version=body.expected_version, actor=who.user)
        present = project.pipeline
        text = body.text or ""  # empty, if neither of the others was named
        pipeline = given.texts.parse(text, folder=present.folder if body.keep_folder else None)
        given.texts.remember(pipeline, text)
        same = pipeline == present.but(version=0, edited=False)
        pipeline = pipeline.but(version=present.version, edited=present.edited if same else True)
        return m.EditPipeline(pipeline=pipeline, expected_version=body.expected_version, actor=who.user)
    if isinstance(body, TagBody):
        kept = [t for t in project.tags if t not in body.remove]
        return m.Describe(tags=tuple(dict.fromkeys([*kept, *body.add])), actor=who.user)
    return m.COMMANDS.validate_python({**body.model_dump(), "actor": who.user})


def put_secrets(given: Services, secrets: dict[str, str | None], made: list[str]) -> dict[str, str | None]:
    references: dict[str, str | None] = {}
    for name, text in secrets.items():
        references[name] = given.client.put_secret(name, text) if text is not None else None
        if references[name] is not None:
            made.append(str(references[name]))
    return references


def forget(given: Services, references: list[str]) -> None:
    """Secrets that were put for what was not done, or had been done before."""
    for reference in references:
        given.vault.delete(reference)


def request_hash(project: str, body: Any) -> str:
    """What an idempotency key stands for: the request as it was sent."""
    return hashlib.sha256(f"{project}\0{body.model_dump_json()}".encode()).hexdigest()
