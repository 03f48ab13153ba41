"""The driver on a real Nomad whose servers die, change their leader, want tokens and certificates, or do not know the
namespace yet. What nodes do to attempts is in test_fences; what every driver must do, in tests/contracts."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.nomad import NAMESPACE, Cluster
from tests.contracts.driver_cases import Does, NomadCase
from tests.waiting import until
from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.core.ports import AttemptRef, AttemptSpec, Observation
from winslow_nomad.core.stage import Cause
from winslow_nomad.driver.nomad.driver import NomadDriver
from winslow_nomad.driver.nomad.files import NodeSpool

POLICY = Path(__file__).parents[2] / "nomad" / "policy-winslow.hcl"


@contextlib.contextmanager
def a_case(cluster: Cluster, token: str = "") -> Iterator[NomadCase]:
    made = NomadCase(cluster, token=token)
    try:
        yield made
    finally:
        made.close()


class Following:
    """A thread that follows, and what it heard."""

    def __init__(self, driver: NomadDriver) -> None:
        self.driver = driver
        self.reports: list[Observation] = []
        self.done = threading.Event()
        self.thread = threading.Thread(target=driver.follow, args=(self.reports.append, self.done.is_set))

    def __enter__(self) -> Following:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join(timeout=15)
        assert not self.thread.is_alive()

    def until_it_follows(self) -> None:
        until(lambda: self.driver.lag.following, 30.0)

    def heard(self, ref: AttemptRef, phase: str, seconds: float = 30.0) -> Observation:
        def found() -> Observation | None:
            return next((r for r in list(self.reports) if (r.ref, r.phase) == (ref, phase)), None)

        return until(found, seconds, every=0.02)


def test_a_server_that_is_killed_and_comes_back_costs_no_report(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(1)
    with a_case(cluster) as case, Following(case.driver) as following:
        following.until_it_follows()
        spec = case.prepared(Does(hold=True))
        case.driver.submit(spec)
        following.heard(spec.ref, "running")
        cluster.kill_server()
        until(lambda: not case.driver.lag.following, 30.0)
        with pytest.raises(DriverUnavailable):
            case.driver.submit(case.prepared(Does()))
        case.release(spec.ref)
        until(lambda: case.attempts.end(spec.ref), 30.0)
        cluster.restart_server()
        assert following.heard(spec.ref, "ended").outcome.succeeded
        after = case.prepared(Does(code=4))
        case.driver.submit(after)
        assert following.heard(after.ref, "ended").outcome.code == 4


def test_another_leader_takes_over_and_nothing_is_lost_or_done_twice(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(1, servers=3)
    leader = str(cluster.api("GET", "/v1/status/leader")).partition(":")[0]
    (led,) = [n for n in cluster.server_names if leader in cluster.address_of(n)]
    other = next(n for n in cluster.server_names if n != led)
    with a_case(cluster) as case:
        driver = case.restarted(address=cluster.address_of(other))
        case.driver = driver
        with Following(driver) as following:
            following.until_it_follows()
            held = case.prepared(Does(hold=True))
            driver.submit(held)
            following.heard(held.ref, "running")
            cluster.kill_server(led)
            spec = case.prepared(Does(code=5))

            def submitted() -> bool:
                with contextlib.suppress(DriverUnavailable):
                    return bool(driver.submit(spec))
                return False

            until(submitted, 60.0, every=0.1)
            assert following.heard(spec.ref, "ended", 60.0).outcome.code == 5
            case.release(held.ref)
            assert following.heard(held.ref, "ended", 60.0).outcome.succeeded
        assert (case.runs(spec.ref), case.runs(held.ref)) == (1, 1)
        cluster.restart_server(led)


def test_the_least_rights_with_certificates_are_enough_and_a_right_that_comes_back_goes_on(
    start_cluster: Callable[..., Cluster], caplog: pytest.LogCaptureFixture
) -> None:
    cluster = start_cluster(1, acl=True, tls=True)
    cluster.command("acl", "policy", "apply", "winslow", POLICY)
    made = cluster.api("POST", "/v1/acl/token", {"Name": "t", "Type": "client", "Policies": ["winslow"]})
    with a_case(cluster, made["SecretID"]) as case, contextlib.ExitStack() as stack:
        case.driver.resync = 1.0  # this Nomad lets a stream go on whose token has lost its rights
        assert {f.severity for f in case.driver.findings()} == {"ok"}
        following = stack.enter_context(Following(case.driver))
        following.until_it_follows()
        spec = case.prepared(Does(hold=True))
        case.driver.submit(spec)
        following.heard(spec.ref, "running")
        allocation = cluster.allocations(str(cluster.api("GET", "/v1/jobs")[0]["ID"]))[0]["ID"]
        sizes = NodeSpool(case.driver._client, allocation).sizes()
        assert sizes == {"out": 0, "err": 0, "index": 0}
        cluster.api("DELETE", "/v1/acl/policy/winslow")
        try:
            until(lambda: not case.driver.lag.following, 30.0)
            until(lambda: "may not" in caplog.text, 30.0)
            with pytest.raises(DriverUnavailable) as refused:
                case.driver.submit(case.prepared(Does()))
            assert refused.value.code == "nomad.forbidden"
            case.release(spec.ref)
            until(lambda: case.attempts.end(spec.ref), 30.0)
        finally:
            cluster.command("acl", "policy", "apply", "winslow", POLICY)
        assert following.heard(spec.ref, "ended").outcome.succeeded
        assert made["SecretID"] not in caplog.text


def test_a_namespace_that_is_made_later_is_followed_without_a_restart(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(1)
    with a_case(cluster) as case:
        cluster.api("DELETE", f"/v1/namespace/{NAMESPACE}")
        spec = case.prepared(Does(code=6))
        with Following(case.driver) as following:
            following.until_it_follows()
            with pytest.raises(DriverUnavailable, match="namespace"):
                case.driver.submit(spec)
            assert any("nomad namespace apply" in f.fix for f in case.driver.findings())
            cluster.api("PUT", f"/v1/namespace/{NAMESPACE}", {"Name": NAMESPACE})
            case.driver.submit(spec)
            assert following.heard(spec.ref, "ended").outcome.code == 6


def test_a_ring_of_events_that_is_far_too_short_loses_nothing(start_cluster: Callable[..., Cluster]) -> None:
    cluster = start_cluster(1, server={"event_buffer_size": 10})
    with a_case(cluster) as case, Following(case.driver) as following:
        following.until_it_follows()
        cluster.cut("s1")
        until(lambda: case.driver.lag.waiting == 0)
        cluster.rejoin("s1")
        specs = [case.prepared(Does(code=n)) for n in range(12)]
        for spec in specs:
            case.driver.submit(spec)
        for number, spec in enumerate(specs):
            assert following.heard(spec.ref, "ended", 60.0).outcome.code == number
        assert [case.runs(s.ref) for s in specs] == [1] * 12


@pytest.mark.chaos
def test_a_cable_that_is_cut_without_a_word_is_noticed_and_all_is_right_within_seconds_of_its_return(
    start_cluster: Callable[..., Cluster],
) -> None:
    """Neither the stream nor a request gets an end then: both wait for what never comes."""
    cluster = start_cluster(1)
    with a_case(cluster) as case, Following(case.driver) as following:
        following.until_it_follows()
        spec = case.prepared(Does(hold=True))
        case.driver.submit(spec)
        following.heard(spec.ref, "running")
        cluster.cut("s1")
        begun = time.monotonic()
        with pytest.raises(DriverUnavailable):
            case.driver.submit(case.prepared(Does()))
        assert time.monotonic() - begun < 45.0, "three tries, each given up after ten seconds"
        until(lambda: not case.driver.lag.following, 30.0)
        case.release(spec.ref)
        until(lambda: case.attempts.end(spec.ref), 30.0)
        cluster.rejoin("s1")
        begun = time.monotonic()
        assert following.heard(spec.ref, "ended").outcome.succeeded
        after = case.prepared(Does(code=4))
        until(lambda: submitted(case.driver, after), 20.0)
        assert following.heard(after.ref, "ended").outcome.code == 4
        print(f"right again after {time.monotonic() - begun:.1f} s")
        assert (case.runs(spec.ref), case.runs(after.ref)) == (1, 1)


def submitted(driver: NomadDriver, spec: AttemptSpec) -> bool:
    with contextlib.suppress(DriverUnavailable):
        return bool(driver.submit(spec))
    return False


@pytest.mark.chaos
def test_a_node_that_lost_the_share_s_volume_is_named_by_what_waits_and_goes_on_when_it_is_offered_again(
    start_cluster: Callable[..., Cluster],
) -> None:
    cluster = start_cluster(1)
    with a_case(cluster) as case, Following(case.driver) as following:
        following.until_it_follows()
        runs, waits = case.prepared(Does(hold=True)), case.prepared(Does(code=4))
        case.driver.submit(runs)
        following.heard(runs.ref, "running")
        cluster.nodes["n1"] = replace(cluster.nodes["n1"], share=False)
        cluster.restart_agent("n1")
        until(lambda: not cluster.node("n1")["HostVolumes"], 30.0, every=0.1)
        case.driver.submit(waits)
        told = lambda: case.driver.observe([waits.ref])[0].reason  # noqa: E731
        until(lambda: told() is not None and "it does not offer the share" in told().text, 30.0, every=0.1)
        ended = following.heard(runs.ref, "ended").outcome  # its agent does not take it up again, and ends it
        assert ended is not None and ended.cause is Cause.STOPPED
        cluster.nodes["n1"] = replace(cluster.nodes["n1"], share=True)
        cluster.restart_agent("n1")
        assert following.heard(waits.ref, "ended", 60.0).outcome.code == 4
        assert (case.runs(runs.ref), case.runs(waits.ref)) == (1, 1)


@pytest.mark.chaos
def test_a_token_that_ends_under_way_is_told_so_and_a_new_one_in_its_file_goes_on(
    start_cluster: Callable[..., Cluster], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = start_cluster(1, acl=True, tls=True)
    cluster.command("acl", "policy", "apply", "winslow", POLICY)
    wanted = {"Name": "t", "Type": "client", "Policies": ["winslow"]}
    short = cluster.api("POST", "/v1/acl/token", {**wanted, "ExpirationTTL": 60 * 10**9})  # the least that Nomad gives
    file = tmp_path / "token"
    file.write_text(short["SecretID"])
    file.chmod(0o600)
    with a_case(cluster) as case:
        case.driver = driver = case.restarted(token="", token_file=str(file))
        driver.resync = 1.0
        with Following(driver) as following:
            following.until_it_follows()
            spec = case.prepared(Does(hold=True))
            driver.submit(spec)
            following.heard(spec.ref, "running")
            until(lambda: "The token for Nomad has expired" in caplog.text, 90.0)
            after = case.prepared(Does(code=4))
            with pytest.raises(DriverUnavailable, match="has expired") as refused:
                driver.submit(after)
            assert refused.value.code == "nomad.token" and str(file) in refused.value.hint
            case.release(spec.ref)
            until(lambda: case.attempts.end(spec.ref), 30.0)
            (tmp_path / "new").write_text(cluster.api("POST", "/v1/acl/token", wanted)["SecretID"])
            (tmp_path / "new").replace(file)
            assert following.heard(spec.ref, "ended").outcome.succeeded
            driver.submit(after)
            assert following.heard(after.ref, "ended").outcome.code == 4
        assert short["SecretID"] not in caplog.text
