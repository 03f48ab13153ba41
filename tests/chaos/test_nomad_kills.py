"""kill -9 of every process of Winslow, of Nomad and of docker, power that fails, processes that stand still and
networks that are cut, while hundreds of short attempts run in containers on a real cluster of two nodes.

What has happened is told by the attempts themselves, in files that only they write: each says that it began and how it
meant to end, notes every piece that it has written, and writes bytes that are known from its name.

    WINSLOW_CHAOS_SEED=17 WINSLOW_CHAOS_ATTEMPTS=500 python -m pytest -m chaos -s tests/chaos/test_nomad_kills.py

A seed repeats what is broken after which pause; what everybody is doing just then differs from run to run."""

from __future__ import annotations

import os
import struct
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isinf
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.chaos.breaker import Breaker
from tests.chaos.test_kills import chosen_seed
from tests.chaos.verdict import at_rest, counters, doctor, journal, journals, left_over, rebuilt, records, unchanged
from tests.chaos.world import World, executions, read_json
from tests.cluster.conftest import nomad_tools  # noqa: F401
from tests.cluster.nomad import Cluster, was_given_up, when
from tests.cluster.whole import Whole, a_whole, claimed, patiently
from winslow_nomad.core.pipeline import Pipeline
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Attempt, Cause, StageState
from winslow_nomad.driver.claim import parse_claim
from winslow_nomad.driver.nomad.job import TASK
from winslow_nomad.resources.endings import parse_end

POINTS = 18  # stages of the sweep of one project; with what is before and after it, twenty
AT_ONCE = 8  # projects
ROLES = ("controller1", "controller2", "worker1", "worker2", "operations")
STUCK = 900.0  # seconds without the end of any stage
PIECE, SMALL_PIECE = 997, 503  # bytes written to each of the two streams at once
NOISE = 1 << 16

# Every attempt writes other bytes, which are known from its name, and notes each piece that a pipe has taken.
SCRIPT = """\
attempt=${WINSLOW_ATTEMPT##*/}
echo "start $HOSTNAME" >> "$WINSLOW_OUTPUT/executions"
( set -C; : > "$WINSLOW_OUTPUT/marker" ) || { echo second >> "$WINSLOW_OUTPUT/executions"; exit 97; }
number=$WINSLOW_STAGE_NUMBER
at=$(( (number * 7919 + attempt * 10477) % 50000 ))
pieces=$(( (number * 5 + attempt) % 8 ))
i=0
while [ $i -lt $pieces ]; do
  tail -c +$((at + 1)) "$WINSLOW_PIPELINE/noise" | head -c 997
  tail -c +$((at + 1)) "$WINSLOW_PIPELINE/noise" | head -c 503 >&2
  i=$((i + 1)); at=$((at + 1000))
  echo $i >> "$WINSLOW_OUTPUT/written"
  sleep 0.25
done
if [ $((number % 10)) = 7 ] && [ $attempt = 1 ]; then echo failed >> "$WINSLOW_OUTPUT/executions"; exit 3; fi
echo "number=$number" >> "$WINSLOW_RESULTS"
echo done >> "$WINSLOW_OUTPUT/executions"
"""

STAGE = """\
    image: box:1
    command: [sh, "${WINSLOW_PIPELINE}/work.sh"]
    resources: {cpu: 0.1, memory: 32 MiB}
    stop_grace: 2s
    patience: 12s
    retry: {node_lost: 50, failed: 1, delay: 0s}
"""
TEXT = f"""\
winslow: 1
name: chaos
parameters:
  N: {{type: integer, default: 0}}
stages:
  - id: split
{STAGE}
  - id: study
    needs: [split]
    sweep: {{max_running: 8, on_failure: continue}}
{STAGE}
  - id: collect
    needs: [study]
    gather: true
    workspace: empty
{STAGE}
"""


def a_pipeline(world: Whole, noise: bytes) -> Pipeline:
    folder = world.base / "pipeline"
    folder.mkdir()
    (folder / "pipeline.yaml").write_text(TEXT)
    (folder / "work.sh").write_text(SCRIPT)
    (folder / "noise").write_bytes(noise)
    return world.client.pipeline(folder)  # type: ignore[no-any-return]


def written(noise: bytes, number: int, attempt: int) -> list[tuple[bytes, bytes]]:
    """What an attempt writes to its two streams, piece by piece."""
    first = (number * 7919 + attempt * 10477) % 50000
    starts = range(first, first + 1000 * ((number * 5 + attempt) % 8), 1000)
    return [(noise[at : at + PIECE], noise[at : at + SMALL_PIECE]) for at in starts]


def run_all(world: Whole, made: Pipeline, breaker: Breaker, attempts: int, pause: float) -> list[str]:
    """Creates projects a few at a time, and breaks things until so many attempts have ended; what is still open goes on
    with everything mended."""
    projects = -(-attempts // (POINTS + 2))
    grid = {"study": {"N": tuple(str(n) for n in range(1, POINTS + 1))}}
    created: list[str] = []
    open_ones: dict[str, int] = {}  # and how many of their stages have ended
    fault_at = look_at = 0.0
    progress = time.monotonic()
    enough = False
    while open_ones or len(created) < projects:
        now = time.monotonic()
        breaker.mend(everything=enough)
        if now >= fault_at and not enough:
            breaker.some_fault()
            fault_at = now + breaker.random.expovariate(1 / pause) * slowness()
        if now >= look_at:
            seen = [world.project(p) for p in open_ones]
            if any(len(p.ended) > open_ones[p.id] for p in seen):
                progress = now
            open_ones = {p.id: len(p.ended) for p in seen if not ended(p)}
            look_at = now + 1.0
            enough = enough or outcomes(world).total() >= attempts
            assert now < progress + STUCK, "\n".join([line for p in seen for line in at_rest(p)])
        if len(open_ones) < AT_ONCE and len(created) < projects:
            created.append(world.create(made=made, sweeps=grid))
            open_ones[created[-1]] = 0
        time.sleep(0.02)
    breaker.mend(everything=True)
    return created


def slowness() -> float:
    """How much longer everything takes where others work as well: else there is time for nothing between two faults."""
    return max(1.0, os.getloadavg()[0] / (8 * (os.cpu_count() or 1)))


def ended(project: Project) -> bool:
    return bool(project.ended) and not list(at_rest(project))


def come_to_rest(world: Whole, seconds: float) -> float:
    """Until nothing is to be done any more, at Winslow, at Nomad or at docker. The seconds it took."""
    began = time.monotonic()
    store, cluster = world.installation.store, world.cluster
    cluster.wait_for_leader()
    for name in cluster.nodes:
        cluster.wait_ready(name, 60)
    when(lambda: not patiently(store.dirty) and not patiently(world.installation.operations.list), seconds)
    when(lambda: not patiently(world.installation.journal.lag).lines, seconds)
    when(lambda: not [c for name in cluster.nodes for c in cluster.containers(name)], seconds)
    over = ("complete", "failed", "lost")
    when(lambda: all(a["ClientStatus"] in over for a in cluster.api("GET", "/v1/allocations")), seconds)
    return time.monotonic() - began


def findings(world: Whole, projects: list[Project], noise: bytes, breaker: Breaker) -> list[str]:
    installation = world.installation
    found = list(world.violations)
    for project in projects:
        found += at_rest(project)
        found += records(world, project)
        found += expected(project)
        found += journals(project, journal(world, project.id))
        for stage in (world.share / "projects" / project.id / "stages").iterdir():
            tried = [Attempt.model_validate(a) for a in (read_json(stage / "stage.json") or {}).get("attempts", ())]
            for folder in stage.glob("attempts/*"):
                attempt = next((a for a in tried if str(a.number) == folder.name), None)
                found += claimed(folder)
                found += as_it_says(folder, attempt)
                found += log_is_exact(folder, noise)
                found += died_of_something(world, breaker, folder, attempt)
    found += unchanged(world)
    found += left_over(world, installation, projects)
    found += counters(installation, projects)
    found += [f"doctor: {f.subject}: {f.text}" for f in doctor(world) if f.severity == "problem"]
    found += rebuilt(world, projects)
    found += [f"job {j['ID']} is not over" for j in left_in_nomad(world)]
    return found


def expected(project: Project) -> Iterator[str]:
    """Every stage succeeds in the end."""
    if len(project.ended) != POINTS + 2:
        yield f"{project.id} has {len(project.ended)} stages"
    for stage in project.ended.values():
        if stage.state is not StageState.SUCCEEDED:
            yield f"{project.id}/{stage.name} is {stage.state}: {stage.message}"
        elif stage.results.get("number") != str(stage.number):
            yield f"{project.id}/{stage.name} has the results {stage.results}"


def name_of(folder: Path) -> str:
    return f"{folder.parts[-5]}/{folder.parts[-3]}/{folder.name}"


def fails(folder: Path) -> bool:
    """Whether its script was to fail."""
    return int(folder.parts[-3].split("-")[0]) % 10 == 7 and folder.name == "1"


def as_it_says(folder: Path, attempt: Attempt | None) -> Iterator[str]:
    """An attempt that is over by itself has said so, with the code it has ended with; any other has not succeeded."""
    ran = executions(folder)
    if attempt is None or attempt.outcome is None:
        if ran:
            yield f"{name_of(folder)} ran and is in no record: {ran}"
        return
    outcome = attempt.outcome
    word, code = ("failed", 3) if fails(folder) else ("done", 0)
    if outcome.cause is Cause.EXIT and (ran, outcome.code) != (["start", word], code):
        yield f"{name_of(folder)} has ended with code {outcome.code}, and says {ran}"


def died_of_something(world: Whole, breaker: Breaker, folder: Path, attempt: Attempt | None) -> Iterator[str]:
    """No attempt is given up whose container nobody has killed, or kept from starting."""
    if attempt is None or attempt.outcome is None or attempt.outcome.cause is Cause.EXIT:
        return
    outcome, began = attempt.outcome, attempt.made.timestamp()
    claim = parse_claim((folder / "claim").read_bytes())
    assert claim is not None
    about = f"{name_of(folder)} is {outcome.cause} ({outcome.message}), and nobody"
    if claim.kind == "runner":
        allocation = world.cluster.api("GET", f"/v1/allocation/{claim.owner}")
        node = str(allocation["NodeName"])
        assert claim.time is not None
        if outcome.cause is Cause.STOPPED and was_given_up(allocation):
            return
        if not breaker.has_killed(f"{TASK}-{claim.owner}", node, claim.time.timestamp()):
            yield f"{about} has killed {claim.owner} on {node}, claimed {claim.time}, ended {outcome.ended}"
            yield from (f"  {line}" for line in as_nomad_tells(allocation))
            yield from (f"  {d.node} broken from {moment(d.began)} to {moment(d.ended)}" for d in breaker.deaths)
    elif outcome.ended is None or not breaker.had_broken(began, outcome.ended.timestamp()):
        yield f"{about} kept it from starting"


def as_nomad_tells(allocation: dict[str, Any]) -> Iterator[str]:
    """What became of an allocation, in the words of Nomad."""
    yield f"{allocation['DesiredStatus']}: {allocation.get('DesiredDescription')}"
    for state in allocation.get("AllocStates") or ():
        yield f"{state['Time']} {state['Field']} {state['Value']}"
    for event in (allocation["TaskStates"] or {}).get(TASK, {}).get("Events", ()):
        yield f"{moment(event['Time'] / 1e9)} {event['Type']}: {event['DisplayMessage']}"


def moment(seconds: float) -> str:
    return str(seconds) if isinf(seconds) else str(datetime.fromtimestamp(seconds, UTC))


def left_in_nomad(world: Whole) -> list[dict[str, str]]:
    return [j for j in world.cluster.api("GET", "/v1/jobs") if not j["Stop"] and j["Status"] != "dead"]


def log_is_exact(attempt: Path, noise: bytes) -> Iterator[str]:
    """What an attempt that ended by itself has written is in the archive to the last byte. One that was killed may have
    written a part of a piece more than it could note, and may have noted one that died with its runner, in the pipe
    between the two."""
    number, name = int(attempt.parts[-3].split("-")[0]), name_of(attempt)
    pieces = written(noise, number, int(attempt.name))
    notes = attempt / "output" / "written"
    noted = len(notes.read_text().splitlines()) if notes.exists() else 0
    if not (attempt / "end.json").exists():
        return  # it never came to anything, which is looked at elsewhere
    outcome = parse_end((attempt / "end.json").read_bytes())
    least = pieces if outcome.cause is Cause.EXIT else pieces[: max(0, noted - 1)]
    index = list(struct.iter_unpack("<QII", kept_of(attempt, "index")))
    for which, stream in enumerate(("out", "err")):
        kept = kept_of(attempt, stream)
        whole, so_far = (b"".join(p[which] for p in some) for some in (pieces, least))
        listed = sum(length for _, length, of in index if of == which + 1)
        if not whole.startswith(kept):
            yield f"{name}: log/{stream} is not what was written"
        elif len(kept) < len(so_far):
            yield f"{name} ({outcome.cause}): log/{stream} has {len(kept)} of {len(so_far)} bytes"
        if listed > len(kept) or (outcome.cause is Cause.EXIT and listed != len(kept)):
            yield f"{name}: log/index tells of {listed} bytes of {len(kept)} in log/{stream}"


def kept_of(attempt: Path, stream: str) -> bytes:
    path = attempt / "log" / stream
    return path.read_bytes() if path.exists() else b""


def outcomes(world: World) -> Counter[str]:
    ends = (world.share / "projects").glob("*/stages/*/attempts/*/end.json")
    return Counter(parse_end(path.read_bytes()).cause.value for path in ends)


def asked_attempts(otherwise: int) -> int:
    return int(os.environ.get("WINSLOW_CHAOS_ATTEMPTS") or otherwise)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_five_hundred_attempts_under_kills_and_cuts_are_each_run_once_and_end_as_they_should(
    nomad_tools: object,  # noqa: F811
) -> None:
    seed, attempts = chosen_seed(), asked_attempts(500)
    print(f"\nWINSLOW_CHAOS_SEED={seed}")
    began = time.monotonic()
    random = Random(seed)
    noise = random.randbytes(NOISE)
    cluster = Cluster.start(2, client={"memory_total_mb": 8 * 32})
    try:
        with a_whole(cluster, roles=ROLES) as world:
            world.random = random
            breaker = Breaker(world, random)
            made = a_pipeline(world, noise)
            names = run_all(world, made, breaker, attempts, pause=1.5)
            took = time.monotonic() - began
            rest = come_to_rest(world, 120)
            world.look()
            causes = outcomes(world)
            refused = len(list((world.share / "projects").glob("*/stages/*/attempts/*/refused-*")))
            projects = [world.project(name) for name in names]
            codes = world.stop()
            wrong = findings(world, projects, noise, breaker)
            wrong += [f"{name} ended with {code}" for name, code in codes.items() if code not in (0, -15)]
            wrong += [f"{n} says:\n{text[-3000:]}" for n, text in world.words().items() if "Traceback" in text]
            print(
                f"\nseed {seed}: {causes.total()} attempts {dict(causes)} of {len(names) * (POINTS + 2)} stages, "
                f"{breaker.done.total()} faults {dict(breaker.done)}, {refused} refused by a claim, "
                f"{took:.0f} s, at rest after {rest:.1f} s more"
            )
            assert causes.total() >= attempts
            assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)
    finally:
        cluster.stop()
