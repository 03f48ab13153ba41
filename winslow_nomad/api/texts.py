"""Texts that people give, with what they may be: no control characters, since they end up in terminals, mails and
headers, and no signs that turn the direction of what stands beside them."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, Field, StringConstraints

from winslow_nomad.core import amounts


def one_line(text: str) -> str:
    if not amounts.one_line(text):
        raise ValueError("control characters cannot stand here")
    return text


Typed = Annotated[str, StringConstraints(max_length=2000)]  # whatever somebody typed, to be compared and not kept
NewPassword = Annotated[
    str, StringConstraints(min_length=1, max_length=2000), Field(examples=["correct horse battery staple"])
]
OneLine = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), AfterValidator(one_line)]
DisplayName = Annotated[OneLine, Field(examples=["Ada Lovelace"])]
Email = Annotated[
    str,
    StringConstraints(max_length=254, pattern=r"^([^@\s,;<>\x00-\x1f\x7f]+@[^@\s,;<>\x00-\x1f\x7f]+)?$"),
    Field(examples=["ada@example.org"]),
]

Item = TypeVar("Item")


class Page(BaseModel, Generic[Item]):
    """`next`: give it as `after` for what follows; empty: there is no more."""

    items: list[Item]
    next: str = ""
