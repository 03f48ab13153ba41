"""The local driver with real processes, real kill -9, and claims that tell of other machines and boots."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from tests.contracts.driver_cases import CPU, MEMORY, Does, LocalCase
from tests.waiting import until
from winslow_nomad.core.pipeline import Resources
from winslow_nomad.core.ports import AttemptRef, AttemptSpec
from winslow_nomad.core.stage import Cause, Outcome
from winslow_nomad.driver.claim import parse_claim
from winslow_nomad.driver.local.files import PlainFiles
from winslow_nomad.driver.local.judge import process_of
from winslow_nomad.driver.local.machine import Process, alive, carrying, process, this_machine

SUBMITTER = """
import sys, json
from pathlib import Path
from tests.contracts.driver_cases import LocalCase, SystemClock, CPU, MEMORY
from tests.driver.attempt_tree import AttemptTree
from winslow_nomad.core.ports import AttemptSpec
from winslow_nomad.driver.local.driver import LocalDriver
from winslow_nomad.driver.local.machine import this_machine
from winslow_nomad.runner import binary

base = Path(sys.argv[1])
driver = LocalDriver(share=base / "share", home=base / "home", attempts=AttemptTree(base / "share"),
                     runner=binary(), clock=SystemClock(), machine=this_machine(cpu=CPU, memory=MEMORY))
print("ready", flush=True)
for line in sys.stdin:
    driver.submit(AttemptSpec.model_validate_json(line))
    print("submitted", flush=True)
"""


def submitter(case: LocalCase) -> subprocess.Popen[str]:
    started = subprocess.Popen(
        [sys.executable, "-c", SUBMITTER, str(case.base)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    return started


def tell(submitting: subprocess.Popen[str], specs: list[AttemptSpec]) -> None:
    assert submitting.stdin is not None
    submitting.stdin.write("".join(s.model_dump_json() + "\n" for s in specs))
    submitting.stdin.flush()


def end(submitting: subprocess.Popen[str]) -> None:
    submitting.kill()
    submitting.communicate()


def phase(case: LocalCase, spec: AttemptSpec) -> str:
    return case.driver.observe([spec.ref])[0].phase


def outcome(case: LocalCase, spec: AttemptSpec) -> Outcome:
    until(lambda: phase(case, spec) == "ended")
    found = case.driver.observe([spec.ref])[0].outcome
    assert found is not None
    return found


def runner_of(case: LocalCase, spec: AttemptSpec) -> Process:
    claim = until(lambda: parse_claim(PlainFiles().read(case.attempts.directory(spec.ref) / "claim")))
    return until(lambda: process_of(claim) if claim.pid else None)


def of_attempt(spec: AttemptSpec) -> list[Process]:
    return list(carrying(frozenset({f"WINSLOW_ATTEMPT={spec.ref}"}), frozenset({f"WINSLOW_RUNNER={spec.ref}"})))


def test_a_stage_runs_on_when_the_process_that_submitted_it_is_killed(case: LocalCase) -> None:
    spec = case.prepared(Does(hold=True, code=5))
    submitting = submitter(case)
    tell(submitting, [spec])
    assert submitting.stdout is not None and submitting.stdout.readline() == "submitted\n"
    end(submitting)
    until(lambda: case.runs(spec.ref))
    assert phase(case, spec) == "running"
    runner = runner_of(case, spec)
    about = Path(f"/proc/{runner.pid}/stat").read_text().rpartition(")")[2].split()
    assert int(about[1]) not in (submitting.pid, os.getpid()), "no process of Winslow is its parent"
    assert os.getsid(runner.pid) != os.getsid(0), "it has a session of its own"
    case.release(spec.ref)
    assert outcome(case, spec).code == 5


def test_a_submitter_killed_at_any_moment_leaves_nothing_that_runs_twice_or_never(case: LocalCase) -> None:
    random = Random(7)
    for _ in range(8):
        specs = [case.prepared(Does(), resources=Resources(cpu=0.1, memory=1 << 26)) for _ in range(3)]
        submitting = submitter(case)
        killer = threading.Timer(random.uniform(0.0, 0.03), submitting.kill)
        killer.start()
        try:
            tell(submitting, specs)
            submitting.wait(10)
        except BrokenPipeError:
            pass
        finally:
            killer.join()
            submitting.communicate()
        for spec in specs:
            case.restarted(start_patience=0.2).submit(spec)
        for spec in specs:
            assert outcome(case, spec).succeeded
        assert [case.runs(s.ref) for s in specs] == [1, 1, 1]


def test_a_killed_runner_is_runner_lost_and_leaves_no_process_behind(case: LocalCase) -> None:
    spec = case.prepared(Does(hold=True))
    case.driver.submit(spec)
    until(lambda: case.runs(spec.ref))
    os.kill(runner_of(case, spec).pid, signal.SIGKILL)
    assert outcome(case, spec).cause is Cause.RUNNER_LOST
    until(lambda: not of_attempt(spec))


def test_when_all_of_the_runner_is_killed_its_end_is_told_and_what_it_left_is_ended(case: LocalCase) -> None:
    """The command's child has left its session and its parent: only its environment tells whose it is."""
    ref = AttemptRef(project=case.project, stage=77, attempt=1)
    detached = 'setsid sleep 1000 & echo x >> "$WINSLOW_OUTPUT/starts"; wait'
    spec = case.attempts.make(ref, ("sh", "-c", detached))
    case.specs.append(spec)
    case.driver.submit(spec)
    until(lambda: case.runs(ref) and phase(case, spec) == "running")
    until(lambda: "sleep" in {Path(f"/proc/{p.pid}/comm").read_text().strip() for p in of_attempt(spec)})
    runner = list(carrying(frozenset({f"WINSLOW_RUNNER={ref}"})))
    assert len(runner) == 2, "the runner and its carrier"
    for number in (signal.SIGSTOP, signal.SIGKILL):  # neither may see the other's end
        for who in runner:
            os.kill(who.pid, number)
    assert of_attempt(spec), "the detached child is left"
    assert outcome(case, spec).cause is Cause.RUNNER_LOST
    assert not of_attempt(spec)


def test_after_a_reboot_what_ran_is_node_lost_and_what_waited_starts(case: LocalCase) -> None:
    whole = Resources(cpu=CPU, memory=1 << 26)
    ran = case.prepared(Does(hold=True), resources=whole)
    waited = case.prepared(Does(), resources=whole)
    case.driver.submit(ran)
    case.driver.submit(waited)
    until(lambda: case.runs(ran.ref))
    other_boot = dataclasses.replace(this_machine(cpu=CPU, memory=MEMORY), boot_id="another")
    anew = case.restarted(machine=other_boot)
    seen = anew.observe([ran.ref])[0]
    assert (seen.phase, seen.outcome.cause) == ("ended", Cause.NODE_LOST)
    until(lambda: case.runs(waited.ref))
    assert case.runs(ran.ref) == 1


def test_a_start_that_a_reboot_cut_off_before_its_claim_is_repeated(case: LocalCase) -> None:
    spec = case.prepared(Does())
    case.restarted(runner=Path("/bin/true")).submit(spec)  # a runner that dies before it claims
    other_boot = dataclasses.replace(this_machine(cpu=CPU, memory=MEMORY), boot_id="another")
    case.restarted(machine=other_boot).observe([])
    until(lambda: case.attempts.end(spec.ref))
    assert (case.attempts.end(spec.ref).succeeded, case.runs(spec.ref)) == (True, 1)


def test_a_runner_that_never_starts_is_tried_three_times_and_then_given_up_with_its_words(
    case: LocalCase,
) -> None:
    broken = case.base / "runner"
    broken.write_text('#!/bin/sh\necho x >> "$0.tries"; echo "no such thing" >&2; exit 125\n')
    broken.chmod(0o755)
    spec = case.prepared(Does())
    driver = case.restarted(runner=broken, start_patience=0.0)
    driver.submit(spec)
    until(lambda: driver.observe([spec.ref])[0].phase == "ended")
    found = case.attempts.end(spec.ref)
    assert found.cause is Cause.RUNNER_LOST
    assert found.message == "the runner could not be started: no such thing"
    assert len(Path(f"{broken}.tries").read_text().splitlines()) == 3


def claimed_by(case: LocalCase, spec: AttemptSpec, **fields: object) -> None:
    machine = this_machine()
    claim = {"kind": "runner", "host": machine.host, "boot_id": machine.boot_id, "pid": 1, "pid_start": 1}
    claim |= {"owner": "", "token": "t", "time": datetime.now(UTC).isoformat()}
    (case.attempts.directory(spec.ref) / "claim").write_text(json.dumps(claim | fields))


def test_a_process_that_took_over_the_pid_of_a_dead_runner_is_neither_believed_nor_hit(
    case: LocalCase,
) -> None:
    innocent = subprocess.Popen(["sleep", "1000"])
    try:
        mine = process(innocent.pid)
        assert mine is not None
        spec = case.prepared(Does())
        claimed_by(case, spec, pid=mine.pid, pid_start=mine.start - 1)
        case.driver.submit(spec)
        case.driver.stop(spec.ref, "terminate")
        assert outcome(case, spec).cause is Cause.RUNNER_LOST
        assert alive(mine)
        assert case.runs(spec.ref) == 0
    finally:
        innocent.kill()
        innocent.wait()


def test_an_attempt_that_another_machine_has_claimed_is_out_of_contact_until_its_end_is_there(
    case: LocalCase,
) -> None:
    spec = case.prepared(Does())
    claimed_by(case, spec, host="birch", boot_id="another")
    case.driver.submit(spec)
    seen = case.driver.observe([spec.ref])[0]
    assert (seen.phase, seen.node) == ("out_of_contact", "birch")
    case.attempts.publish_end(spec.ref, Outcome(cause=Cause.EXIT, code=0))
    assert outcome(case, spec).succeeded
    assert case.runs(spec.ref) == 0


def test_a_claim_whose_writer_died_while_writing_is_runner_lost(case: LocalCase) -> None:
    spec = case.prepared(Does())
    (case.attempts.directory(spec.ref) / "claim").write_text('{"kind": "run')
    driver = case.restarted(start_patience=0.0)
    driver.submit(spec)
    until(lambda: driver.observe([spec.ref])[0].phase == "ended")
    assert (case.attempts.end(spec.ref).cause, case.runs(spec.ref)) == (Cause.RUNNER_LOST, 0)


def test_nothing_of_an_earlier_attempt_works_any_more_when_the_next_one_starts(case: LocalCase) -> None:
    first = case.prepared(Does(hold=True))
    case.driver.submit(first)
    until(lambda: case.runs(first.ref))
    case.attempts.publish_end(first.ref, Outcome(cause=Cause.SUPERSEDED))
    second = case.prepared(Does(), ref=first.ref.but(attempt=2))
    case.driver.submit(second)
    assert not of_attempt(first)
    assert outcome(case, second).succeeded


def test_fifty_submits_at_once_never_take_more_than_there_is(case: LocalCase) -> None:
    work = 'date +%s.%N > "$WINSLOW_OUTPUT/a"; echo x >> "$WINSLOW_OUTPUT/starts"; date +%s.%N > "$WINSLOW_OUTPUT/b"'
    refs = [AttemptRef(project=case.project, stage=i, attempt=1) for i in range(1, 51)]
    one = Resources(cpu=1, memory=1 << 20, memory_max=1 << 29)
    specs = [case.attempts.make(ref, ("sh", "-c", work), resources=one) for ref in refs]
    case.specs += specs
    drivers = [case.restarted() for _ in range(5)]
    threads = [
        threading.Thread(target=lambda d=d, i=i: [d.submit(s) for s in specs[i::5]]) for i, d in enumerate(drivers)
    ]
    for thread in threads:
        thread.start()
    used: list[tuple[float, int]] = []
    while any(t.is_alive() for t in threads):
        node = case.driver.inventory().nodes[0]
        used.append((node.cpu_used, node.memory_used))
    for thread in threads:
        thread.join()
    until(lambda: all(o.phase == "ended" for o in case.driver.observe(refs)), 30.0)
    assert max(cpu for cpu, _ in used) <= CPU
    assert [case.runs(ref) for ref in refs] == [1] * 50
    moments: list[tuple[float, int]] = []
    for ref in refs:
        output = case.attempts.directory(ref) / "output"
        moments += [(float((output / "a").read_text()), 1), (float((output / "b").read_text()), -1)]
    at_once = most = 0
    for _, change in sorted(moments):
        at_once += change
        most = max(most, at_once)
    assert 1 <= most <= CPU


def test_a_booking_that_a_power_loss_tore_does_no_harm(case: LocalCase) -> None:
    spec, other = case.prepared(Does(hold=True)), case.prepared(Does())
    case.driver.submit(spec)
    until(lambda: case.runs(spec.ref))
    (booking,) = (case.base / "home/local/attempts").iterdir()
    booking.write_text("{")
    case.driver.submit(other)
    assert outcome(case, other).succeeded
    case.driver.submit(spec)
    assert phase(case, spec) == "running"
    assert case.runs(spec.ref) == 1


def test_a_second_follower_takes_over_when_the_first_one_ends(case: LocalCase) -> None:
    first, second = threading.Event(), threading.Event()
    heard: list[str] = []
    threads = [
        threading.Thread(target=case.restarted().follow, args=(report, done.is_set))
        for report, done in ((lambda o: None, first), (lambda o: heard.append(o.phase), second))
    ]
    for thread in threads:
        thread.start()
    first.set()
    threads[0].join()
    spec = case.prepared(Does())
    case.driver.submit(spec)
    try:
        until(lambda: "ended" in heard)
    finally:
        second.set()
        threads[1].join()


def test_an_attempt_whose_files_are_gone_waits_and_holds_nobody_up(case: LocalCase) -> None:
    gone, fine = case.prepared(Does()), case.prepared(Does())
    (case.attempts.directory(gone.ref) / "environment").unlink()
    answer = case.driver.submit(gone)
    assert (answer.phase, answer.reason.kind) == ("waiting", "share")
    case.driver.submit(fine)
    assert outcome(case, fine).succeeded
