"""Nodes: what they have, what works on them, how busy they are."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from winslow_nomad.api.authority import may
from winslow_nomad.api.problems import documented
from winslow_nomad.api.services import Given, Services
from winslow_nomad.api.views.base import Moment
from winslow_nomad.api.views.nodes import Draining, NodesView, NodeView, Samples, node_view
from winslow_nomad.core.access import Action, Principal, visible
from winslow_nomad.core.errors import Invalid, NotFound
from winslow_nomad.core.nodes import NodeNow

router = APIRouter(prefix="/api/v1/nodes", tags=["nodes"])
Viewing = Annotated[Principal, Depends(may(Action.VIEW_NODES))]
Managing = Annotated[Principal, Depends(may(Action.MANAGE_NODES))]
LONGEST = timedelta(days=32)


@router.get("", summary="List nodes", responses=documented(401, 403, 422, 503))
def list_nodes(given: Given, who: Viewing) -> NodesView:
    """By name."""
    found = given.nodes.all()
    seen = _seen(given, who, found)
    items = [node_view(n, seen) for n in found]
    return NodesView(
        items=items,
        gpus=sum(i.gpus_total for i in items),
        gpus_booked=sum(i.gpus_booked for i in items),
        running=sum(len(i.busy) for i in items),
        waiting=given.nodes.waiting(),
    )


@router.get("/{node}", summary="One node", responses=documented(401, 403, 404, 422, 503))
def read_node(node: str, given: Given, who: Viewing) -> NodeView:
    """With what works on it."""
    found = given.nodes.get(node)
    return node_view(found, _seen(given, who, [found]))


@router.get("/{node}/samples", summary="How busy a node was", responses=documented(401, 403, 404, 422, 503))
def list_samples(
    node: str,
    given: Given,
    who: Viewing,  # noqa: ARG001 - who is asked for
    since: Annotated[Moment | None, Query(description="default: a day before `until`")] = None,
    until: Annotated[Moment | None, Query(description="default: now")] = None,
) -> Samples:
    """By the minute for a day at most, else by the quarter of an hour; a month is kept."""
    last = until or given.clock.now()
    first = since or last - timedelta(days=1)
    if first.tzinfo is None or last.tzinfo is None or not timedelta(0) <= last - first <= LONGEST:
        raise Invalid(
            "`since` has to be before `until` by a month at most, both with a zone; nothing was read.",
            hint="Write times as 2026-11-24T14:30:00Z.",
            code="request.span",
        )
    return Samples(node=node, items=list(given.nodes.samples(node, first, last)))


@router.post("/{node}/drain", summary="Drain a node", responses=documented(400, 401, 403, 404, 409, 413, 422, 503))
def drain_node(node: str, body: Draining, given: Given, who: Managing) -> NodeView:
    """Nothing new starts there; what runs goes on to its end."""
    reason = f"{who.user}: {body.text}" if body.text else who.user
    return node_view(given.nodes.drain(node, reason), None)


@router.post("/{node}/undrain", summary="End a drain", responses=documented(401, 403, 404, 409, 422, 503))
def undrain_node(node: str, given: Given, who: Managing) -> NodeView:  # noqa: ARG001 - who is asked for
    """It takes work again."""
    return node_view(given.nodes.undrain(node), None)


def _seen(given: Services, who: Principal, nodes: Iterable[NodeNow]) -> Collection[str] | None:
    """Ids of those projects on these nodes that the caller may see; None: of all."""
    if who.sees_all:
        return None
    found = set()
    for project in {b.project for n in nodes for b in n.busy}:
        try:
            one = given.client.project(project)
        except NotFound:
            continue
        if visible(who, one.author, one.participants, one.id):
            found.add(project)
    return found
