"""kill -9 of everything, again and again, while people work with it.

    WINSLOW_CHAOS_SEED=17 WINSLOW_CHAOS_KILLS=500 python -m pytest -m chaos -s tests/chaos/test_kills.py

A seed repeats who is killed after which pause; what those are doing just then differs from run to run."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from random import Random

import pytest

from tests.chaos import pipeline
from tests.chaos.person import Notes, Person, at_rest
from tests.chaos.verdict import findings
from tests.chaos.world import World, a_world
from winslow_nomad import bootstrap

APART = ("controller1", "controller2", "worker1", "worker2", "operations1", "operations2")
TOGETHER = ("up1", "up2")
WEIGHTS = {"store": 3, "person": 2, "runner": 6, "helper": 2}
FROZEN = 0.1  # of the faults are a process that stands still for a while; these are not counted


def chosen_seed() -> int:
    return int(os.environ.get("WINSLOW_CHAOS_SEED") or Random().randrange(10**6))


def kill_again_and_again(world: World, roles: tuple[str, ...], kills: int, pause: float) -> Counter[str]:
    """Victims and pauses come from the world's own random numbers."""
    done: Counter[str] = Counter()
    weights = WEIGHTS | dict.fromkeys(roles, 12 // len(roles))
    random = world.random
    while sum(done.values()) < kills:
        time.sleep(random.expovariate(1 / pause))
        victim = random.choices(list(weights), list(weights.values()))[0]
        if victim in roles and random.random() < FROZEN:
            world.freeze(victim, random.uniform(0.1, 8.0))
        elif world.kill(victim):
            done[victim.rstrip("12")] += 1
    return done


def come_to_rest(world: World, notes: Path, folder: Path, seconds: float) -> float:
    """Answer what waits for a person until nothing does, and nothing is open. The seconds it took."""
    began = time.monotonic()
    with closing(bootstrap.open_client(world.settings)) as client:
        person = Person(client, Notes(notes), client.pipeline(folder), Random(0))
        for line in person.notes.unanswered:
            person.send(line)
        while time.monotonic() < began + seconds:
            projects = [p for p in map(person.load, person.notes.projects) if p is not None]
            busy = [p for p in projects if not at_rest(p)]
            lag = client.installation.journal.lag().lines
            quiet = not client.installation.store.dirty() and not client.installation.operations.list()
            booked = list((world.home / "local" / "attempts").glob("[!.]*"))
            if projects and not busy and not lag and quiet and not booked:
                break
            for project in busy:
                person.answer(project)
            time.sleep(0.1)
    return time.monotonic() - began


def survive(roles: tuple[str, ...], kills: int, projects: int, pause: float, patience: float) -> None:
    seed = chosen_seed()
    print(f"\nWINSLOW_CHAOS_SEED={seed}")
    began = time.monotonic()
    with a_world() as world:
        world.random = Random(seed)
        folder = pipeline.write(world.base / "pipeline")
        notes = world.base / "notes"
        argv = (sys.executable, "-m", "tests.chaos.person", str(notes), str(folder), str(seed), str(projects))
        world.start(*roles)
        world.add("person", argv)
        done = kill_again_and_again(world, roles, kills, pause)
        world.drop("person")
        rest = come_to_rest(world, notes, folder, patience)
        world.look()
        codes = world.stop()
        wrong = findings(world, notes)
        polite = (0, -signal.SIGTERM)  # the latter: it had only just been started
        wrong += [f"{name} ended with {code}" for name, code in codes.items() if code not in polite]
        wrong += [f"{n} says:\n{text[-3000:]}" for n, text in world.words().items() if "Traceback" in text]
        stages = len(world.records)
        acknowledged = sum(line["what"] == "answered" for line in Notes(notes).closed.values())
        print(
            f"\nseed {seed}: {sum(done.values())} kills {dict(done)}, {acknowledged} acknowledged commands, "
            f"{stages} ended stages, {sum(k.unfinished for k in world.killed_runners)} runners amid their work, "
            f"at rest after {rest:.1f} s, {time.monotonic() - began:.0f} s in all"
        )
        assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)


def asked_kills(otherwise: int) -> int:
    return int(os.environ.get("WINSLOW_CHAOS_KILLS") or otherwise)


def test_twenty_kills_lose_nothing_and_do_nothing_twice() -> None:
    survive(APART, asked_kills(20), projects=2, pause=0.4, patience=60)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_five_hundred_kills_lose_nothing_and_do_nothing_twice() -> None:
    survive(APART, asked_kills(500), projects=150, pause=0.7, patience=180)


@pytest.mark.chaos
@pytest.mark.timeout(7200)
def test_kills_of_engines_that_hold_all_parts_in_one_process_lose_nothing() -> None:
    survive(TOGETHER, asked_kills(200), projects=60, pause=0.7, patience=180)
