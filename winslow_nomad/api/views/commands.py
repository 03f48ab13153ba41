"""What can be asked of a project, as bodies: the commands of core.messages without the actor, who is always the one
that asks. Some are another thing here: secrets come as texts, pipelines as what people write, tags one by one, and a
project is made elsewhere."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from pydantic import Field, create_model, model_validator

from winslow_nomad.api.views.base import Request, example
from winslow_nomad.core import messages as m
from winslow_nomad.core.access import Action

AS_THEY_ARE: tuple[type[m.Command], ...] = (
    m.StartProject, m.PauseProject, m.ResumeProject, m.EnqueueStage, m.RedoStage, m.ChangeQueued, m.RemoveQueued,
    m.Reorder, m.SkipStage, m.StopStage, m.StopProject, m.StopSweep, m.AnswerGate, m.ChooseOfSweep, m.PauseAfter,
    m.SetValues, m.AddComment, m.Describe, m.TrashProject, m.RestoreProject,
)  # fmt: skip
MANAGED = ("author", "participants", "limit", "keep")  # of a description: who is in it, what it may use, what it keeps
MANAGING = frozenset({"set_secrets", "trash_project", "restore_project"})


def body_of(command: type[m.Command]) -> type[Request]:
    """Its fields but the actor."""
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in command.model_fields.items() if name != "actor"
    }
    return create_model(f"{command.__name__}Body", __base__=Request, __doc__=command.__doc__ or "", **fields)


class SetSecretsBody(Request):
    """Texts by name; null takes one away. They are encrypted at once and never shown again."""

    kind: Literal["set_secrets"] = "set_secrets"
    secrets: dict[str, str | None] = Field(max_length=100)


class EditPipelineBody(Request):
    """Replace the project's own copy: by `text`, which keeps the folder of code it has (unless `keep_folder` is false),
    by the pipeline in `folder` (digest of one that was checked), or by the version `version` (0: the newest) of
    `library`. `expected_version` guards against another person's edit."""

    kind: Literal["edit_pipeline"] = "edit_pipeline"
    text: str | None = Field(default=None, max_length=1_000_000)
    keep_folder: bool = True
    folder: str = Field(default="", max_length=64)
    library: str = Field(default="", max_length=100)
    version: int = Field(default=0, ge=0)
    expected_version: int | None = None

    @model_validator(mode="after")
    def one(self) -> EditPipelineBody:
        if (self.text is not None) + bool(self.folder) + bool(self.library) != 1:
            raise ValueError("name one of text, folder and library")
        return self


class TagBody(Request):
    """Add tags and take tags away; the others stay, whoever sets them meanwhile."""

    kind: Literal["tag_project"] = "tag_project"
    add: list[str] = Field(default=[], max_length=50)
    remove: list[str] = Field(default=[], max_length=50)


BODIES = tuple(body_of(c) for c in AS_THEY_ARE)
OneOf: Any = Union[(*BODIES, SetSecretsBody, EditPipelineBody, TagBody)]
CommandBody = Annotated[OneOf, Field(discriminator="kind")]
EXAMPLES: dict[str, Any] = {
    "start": {"summary": "Start", "value": {"kind": "start_project"}},
    "redo": {
        "summary": "Redo a stage with another value",
        "value": {"kind": "redo_stage", "stage": 2, "overrides": {"values": {"MIN_AREA": "340"}}, "comment": "shadows"},
    },
    "sweep": {
        "summary": "Several values at once",
        "value": {"kind": "redo_stage", "stage": 2, "sweep": {"MIN_AREA": ["100", "200", "300"]}},
    },
    "gate": {"summary": "Answer a question", "value": {"kind": "answer_gate", "gate": "g1", "answer": "go"}},
    "stop": {"summary": "Stop one stage", "value": {"kind": "stop_stage", "stage": 4}},
}


def action_of(body: Any) -> Action:
    """What a command needs: who is in a project and what is thrown away is for those who manage it."""
    if body.kind == "add_comment":
        return Action.COMMENT_PROJECT
    managing = body.kind == "describe" and any(getattr(body, f) is not None for f in MANAGED)
    return Action.MANAGE_PROJECT if managing or body.kind in MANAGING else Action.RUN_PROJECT


class BulkBody(Request):
    """One command for several projects; each is asked by itself."""

    projects: list[str] = Field(min_length=1, max_length=1000)
    command: CommandBody

    model_config = example(projects=["pk3m8x2w9qf4t", "p7d2nq8r5vbxc"], command={"kind": "pause_project"})
