"""What those who watch over the installation see: does it live, can it work, figures; and who may see them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from tests import builders
from tests.api.conftest import Served, World
from winslow_nomad.api.app import create_app
from winslow_nomad.bootstrap.monitoring import InstalledMonitoring
from winslow_nomad.core import messages as m
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import SealStage
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.core.monitoring import Condition, Figures, totals
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, AttemptState, Cause, Outcome, StageState

NEAR, FAR = ("127.0.0.1", 5), ("203.0.113.9", 5)


def client(world: World, peer: tuple[str, int], **headers: str) -> TestClient:
    return TestClient(world.app, base_url="http://localhost", client=peer, headers=headers)


def figures(text: str) -> dict[str, float]:
    """`name{label="value"}` -> value"""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{k}="{v}"' for k, v in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


class Away:
    """The store does not answer."""

    def figures(self) -> Figures:
        raise StoreUnavailable("The store cannot be reached.")

    def conditions(self) -> list[Condition]:
        return [Condition(name="store", ok=False, needed=True, text="The store cannot be reached.")]

    def knows(self, address: str) -> bool:
        return address == NEAR[0]


def test_a_process_that_lives_says_so_to_anybody(world: World) -> None:
    assert client(world, FAR).get("/healthz").json() == {"status": "alive"}


def test_readiness_says_what_is_well_and_what_is_not(world: World) -> None:
    world.installation.scribe  # noqa: B018 - the share is established
    answer = client(world, NEAR).get("/readyz")
    found = {c["name"]: c for c in answer.json()["checks"]}
    assert answer.status_code == 200 and answer.json()["ready"] and answer.json()["degraded"]
    assert found["store"]["ok"] and found["share"]["ok"] and found["queue"]["ok"]
    assert not found["controller"]["ok"] and "nobody moves stages" in found["controller"]["text"]


def test_who_moves_stages_is_named_to_those_nearby_alone(world: World) -> None:
    assert world.installation.lease("alder:4711:abc").hold() is not None
    assert "alder" in client(world, NEAR).get("/readyz").text
    assert "alder" not in client(world, FAR).get("/readyz").text


def test_without_a_store_the_process_lives_and_is_not_ready(world: World) -> None:
    app = create_app(replace(world.services, monitoring=Away()))
    asking = TestClient(app, base_url="http://localhost", client=NEAR)
    assert asking.get("/healthz").status_code == 200
    assert asking.get("/readyz").status_code == 503 and not asking.get("/readyz").json()["ready"]
    assert figures(asking.get("/metrics").text)["winslow_store_up"] == 0


def test_a_share_that_is_missing_is_said_and_requests_are_answered_all_the_same(world: World) -> None:
    answer = client(world, NEAR).get("/readyz")
    share = next(c for c in answer.json()["checks"] if c["name"] == "share")
    assert answer.status_code == 200 and not share["ok"] and "winslow.json is missing" in share["text"]


def test_figures_are_for_those_nearby_and_for_tokens_that_may_read(world: World) -> None:
    assert client(world, NEAR).get("/metrics").status_code == 200
    assert client(world, FAR).get("/metrics").status_code == 401
    for scope, expected in (("read", 200), ("files", 403)):
        _, secret = world.services.people.add_token("vic", "prometheus", frozenset({scope}))  # type: ignore[arg-type]
        answer = client(world, FAR, authorization=f"Bearer {secret}").get("/metrics")
        assert answer.status_code == expected, scope
    _, trigger = world.services.people.add_token("mem", "t", frozenset({"read"}), project="p1")
    assert client(world, FAR, authorization=f"Bearer {trigger}").get("/metrics").status_code == 403


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "via", "x-real-ip"])
def test_what_comes_through_a_proxy_on_this_machine_did_not_come_from_nearby(world: World, header: str) -> None:
    assert client(world, NEAR, **{header: "203.0.113.9"}).get("/metrics").status_code == 401


def test_who_may_read_figures_without_a_token_can_be_set(world: World) -> None:
    settings = replace(world.installation.settings, metrics_from=("203.0.113.0/24",))
    world.installation.settings = settings
    monitoring = InstalledMonitoring(world.installation)
    assert monitoring.knows("203.0.113.9") and monitoring.knows("::ffff:203.0.113.9")
    assert not monitoring.knows("127.0.0.1") and not monitoring.knows("testclient")


def test_requests_are_counted_by_route_and_status_and_never_by_address(world: World) -> None:
    world.services.client.send("p-s3cr3t", a_new_project("p-s3cr3t"))
    asking = client(world, NEAR)
    secret = world.services.people.add_token("ann", "t", frozenset({"read"}))[1]
    asking.get("/api/v1/projects/p-s3cr3t", headers={"authorization": f"Bearer {secret}"})
    asking.get("/api/v1/projects/p-s3cr3t")
    asking.get("/no/such/s3cr3t/page")
    asking.request("BREW", "/api/v1/projects")
    text = asking.get("/metrics").text
    found = figures(text)
    route = '/api/v1/projects/{project}"'
    assert found[f'winslow_requests_total{{method="GET",route="{route},status="200"}}'] == 1
    assert found[f'winslow_requests_total{{method="GET",route="{route},status="401"}}'] == 1
    assert found[f'winslow_request_seconds_count{{method="GET",route="{route}}}'] == 2
    assert "s3cr3t" not in text and "BREW" not in text and "ann" not in re.findall(r'"([^"]*)"', text)


def a_new_project(project: str) -> m.CreateProject:
    return m.CreateProject(project=project, name=project, pipeline=builders.a_pipeline(), actor="mem")


def test_what_the_store_knows_is_the_same_at_every_process(world: World) -> None:
    for name in ("p1", "p2"):
        world.services.client.send(name, a_new_project(name))
    world.services.client.send("p1", m.StartProject())
    other = create_app(world.services)
    texts = [
        TestClient(app, base_url="http://localhost", client=NEAR).get("/metrics").text for app in (world.app, other)
    ]
    for found in map(figures, texts):
        assert found['winslow_transitions_total{what="created"}'] == 2
        assert found['winslow_projects{state="idle"}'] == 1 and found['winslow_projects{state="queued"}'] == 1
        assert found["winslow_stages_waiting"] == 1 and found["winslow_mirror_lag_lines"] == 3
        assert found['winslow_lease_held{work="controller"}'] == 0


def test_the_age_of_what_is_outstanding_counts_from_when_it_became_so(world: World) -> None:
    store, keys = world.installation.store, world.installation.keys
    world.services.client.send("p1", a_new_project("p1"))

    def commit(priority: int, *effects: SealStage) -> None:
        def decide(project: Project | None) -> Decision:
            assert project is not None
            return builders.decided(project.but(priority=priority), *effects)

        store.change("p1", decide)

    commit(1, SealStage(stage=1))
    world.installation.state.zadd(keys.dirty_since, {"p1": world.installation.clock.now().timestamp() - 90})
    commit(2, SealStage(stage=1))
    store.ring_again(world.installation.clock.now())
    found = figures(client(world, NEAR).get("/metrics").text)
    assert found["winslow_dirty_projects"] == 1 and 85 < found["winslow_oldest_dirty_seconds"] < 120
    queue = next(c for c in client(world, NEAR).get("/readyz").json()["checks"] if c["name"] == "queue")
    assert not queue["ok"]
    commit(3)
    assert figures(client(world, NEAR).get("/metrics").text)["winslow_oldest_dirty_seconds"] == 0


def test_an_attempt_is_counted_once_when_the_driver_has_it_and_once_when_its_end_is_known() -> None:
    def at(state: AttemptState, **changes: object) -> Attempt:
        values = {"number": 1, "made": builders.START, "driver": "nomad", "state": state, **changes}
        return Attempt.model_validate(values)

    ended = Outcome(cause=Cause.EXIT, code=0, ended=builders.START)
    steps = [
        builders.a_stage(attempts=(at(AttemptState.INTENDED),), state=StageState.PREPARING),
        builders.a_stage(attempts=(at(AttemptState.SUBMITTED),), state=StageState.SUBMITTED),
        builders.a_stage(attempts=(at(AttemptState.RUNNING, started=builders.START),), state=StageState.RUNNING),
        builders.a_stage(
            attempts=(at(AttemptState.ENDED, started=builders.START, outcome=ended),), state=StageState.SUCCEEDED
        ),
    ]
    counted: dict[str, int] = {}
    before = builders.a_project()
    for number, stage in enumerate(steps):
        place = "sealing" if stage.state is StageState.SUCCEEDED else "stages"
        after = before.but(stages={}, sealing={}).but(**{place: {1: stage}}, updated=builders.HandClock().pass_by(2))
        for what, amount in totals(before, after, ()).items():
            counted[what] = counted.get(what, 0) + amount
        assert totals(after, after.but(version=number), ()) == {}
        before = after
    assert counted == {"submissions|nomad": 1, "lag|nomad|3": 1, "lag_ms|nomad": 2000}


def test_dashboard_and_alerts_ask_only_for_figures_that_there_are(world: World) -> None:
    root = Path(__file__).parents[2] / "deploy"
    alerts = yaml.safe_load((root / "prometheus-alerts.yml").read_text(encoding="utf-8"))
    dashboard = json.loads((root / "grafana-dashboard.json").read_text(encoding="utf-8"))
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    panels = dashboard["panels"]
    asked = [rule["expr"] for rule in rules] + [t["expr"] for panel in panels for t in panel["targets"]]
    told = {f.name: f for f in text_string_to_metric_families(everything(world))}
    known = {name for f in told.values() for name in (f.name, *(s.name for s in f.samples))}
    for text in asked:
        names = set(re.findall(r"\b((?:winslow|process)_[a-z_]+)", text))
        assert names and names <= known, f"{names - known} in {text}"
        for name, label in re.findall(r"\b(winslow_[a-z_]+)\{([a-z]+)", text):
            assert label in {k for f in told.values() for s in f.samples if s.name == name for k in s.labels}, text
    page = (root.parent / "docs" / "monitoring.md").read_text(encoding="utf-8")
    assert [r["alert"] for r in rules if f"`{r['alert']}`" not in page] == []
    assert len({p["id"] for p in panels}) == len(panels) > 10


def everything(world: World) -> str:
    """Figures after all that is counted has happened once."""
    found = world.services.monitoring.figures()
    totals: dict[Any, Any] = {"lag|nomad|1": 3, "lag_ms|nomad": 900, "submissions|nomad": 1, "transitions|created": 1}
    world.installation.state.hset(world.installation.keys.totals, mapping=totals)
    assert found.totals.keys() < totals.keys()
    client(world, NEAR).get("/healthz")
    return client(world, NEAR).get("/metrics").text


def test_delays_are_counted_in_steps_that_grow(world: World) -> None:
    found = figures(everything(world))
    buckets = [v for k, v in found.items() if k.startswith("winslow_event_lag_seconds_bucket")]
    assert buckets == sorted(buckets) and buckets[0] == 0 and buckets[-1] == 3
    assert found['winslow_event_lag_seconds_sum{driver="nomad"}'] == 0.9
    assert found['winslow_notifications_given_up_total{way="mail"}'] == 0


def test_figures_of_a_real_process(served: Served) -> None:
    text = httpx.get(f"{served.url}/metrics").text
    found = figures(text)
    assert found["winslow_store_up"] == 1 and found["process_open_fds"] > 0
    assert found["winslow_live_clients"] == 0 and found["winslow_upload_bytes_total"] == 0
    assert httpx.get(f"{served.url}/readyz").status_code == 200
