"""load -> decide -> commit -> perform: the one path for every change.

`advance(project)` carries out what is outstanding and sends the facts that follow, until nothing is left
that can be done now. It holds nothing in memory that matters: killed anywhere, the next call goes on."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from winslow_nomad.core import messages as m
from winslow_nomad.core.about import about
from winslow_nomad.core.decide import decide_all
from winslow_nomad.core.decision import Decision
from winslow_nomad.core.effects import Effect, PrepareWorkspace, SealStage, WakeAt
from winslow_nomad.core.errors import Conflict, NotFound, Unavailable, VersionChanged, WinslowError
from winslow_nomad.core.images import host_of
from winslow_nomad.core.outstanding import outstanding
from winslow_nomad.core.ports import AttemptRef, Clock, Store
from winslow_nomad.core.project import Project
from winslow_nomad.core.stage import Stage
from winslow_nomad.events.admission import Admission, Prepare
from winslow_nomad.events.perform import REGISTRY, Parked, Performer, parked

log = logging.getLogger(__name__)
ASIDE = 0.25  # seconds
FEW = 4  # stages sealed between two looks at what is urgent
MANY = 16  # stages of a project that may wait for being sealed before it goes on
LOCAL = "local"  # the driver without images
ROUNDS = 64  # far more than one call ever needs; what is left then stays dirty


class Breaker(Protocol):
    """Keeps effects away from something that cannot be reached, and brings their projects back."""

    def allows(self, what: str) -> bool: ...

    def why(self, what: str) -> str:
        """What was said when it failed last."""
        ...

    def failed(self, what: str, project: str, text: str = "", *, at_once: bool = False) -> None:
        """at_once: one failure says enough."""
        ...

    def succeeded(self, what: str) -> None: ...


class Sender:
    """Messages into `decide`, committed."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    def __call__(
        self,
        project: str,
        messages: Sequence[m.Message],
        *,
        key: str = "",
        request: str = "",
        actor: str = "",
        epoch: int = 0,
        quiet: bool = False,
        expected: int | None = None,
    ) -> Project:
        """`expected`: the version that who asks has seen; VersionChanged where it is another."""

        def decide(before: Project | None) -> Decision:
            if expected is not None and before is not None and before.version != expected:
                raise version_changed(before.version, expected)
            return decide_all(before, messages, self.clock.now())

        after, _ = self.store.change(project, decide, key=key, request=request, actor=actor, epoch=epoch, quiet=quiet)
        return after

    def admit(self, project: str, fact: m.Admitted, prepare: Prepare, *, quiet: bool = False) -> None:
        """Admission and what its preparation brings as one commit. Preparing before it is committed is harmless
        where little is made (see `may_come_first`): it may be done again, and nothing runs before a later commit
        says so. If somebody changes the project in between, only the admission is committed."""
        before = self.store.load(project)
        if before is None:
            return
        now = self.clock.now()
        trial = decide_all(before, [fact], now)
        effects = [e for e in trial.effects if isinstance(e, PrepareWorkspace) and e.stage == fact.stage]
        ahead = trial.changed and effects and may_come_first(trial.project, trial.project.stages[fact.stage])
        facts = prepare(trial.project, effects) if ahead else []

        def decide(found: Project | None) -> Decision:
            same = found is not None and found.version == before.version
            return decide_all(found, [fact, *facts] if same else [fact], now)

        self.store.change(project, decide, quiet=quiet)

    def facts(self, project: str, facts: Sequence[m.AnyFact], *, quiet: bool = False) -> Project | None:
        """Facts about a project that is gone are nothing, and so are those that a controller saw whose lease
        has passed to another meanwhile: its successor has looked since."""
        try:
            return self(project, facts, epoch=max((f.epoch for f in facts), default=0), quiet=quiet)
        except NotFound:
            return None
        except Conflict as error:
            if error.code != "lease.lost":
                raise
            log.warning("%s: %s", project, error)
            return None


def version_changed(present: int, expected: int) -> VersionChanged:
    return VersionChanged(
        f"The project was changed meanwhile: it has version {present}, not {expected}. Nothing was done.",
        hint="Look at it again and repeat what is still wanted.",
    )


def may_come_first(project: Project, stage: Stage) -> bool:
    """Whether its directory may be made before its admission is committed. The process may be killed in between, and
    the stage be changed or taken back: no secret may lie there then, and no copy of what it no longer begins with.
    Nor is a registry asked then, which everybody who wants to be admitted would wait for."""
    begins_empty = stage.source is not None and stage.source.kind == "empty"
    image = stage.overrides.image if stage.overrides.image is not None else stage.definition.image
    asks = project.driver != LOCAL and ("${" in image or bool(host_of(image)))
    return begins_empty and not asks and not any(v.secret for v in stage.environment or ())


class Advance:
    def __init__(
        self, store: Store, sender: Sender, performer: Performer, admission: Admission, breaker: Breaker
    ) -> None:
        self.store = store
        self.sender = sender
        self.performer = performer
        self.admission = admission
        self.breaker = breaker
        self.sealing: Sealing | None = None

    def __call__(self, project_id: str) -> None:
        """Admission comes first and sealing last, aside where there is somebody for it: what follows an end
        should not wait for its paperwork."""
        with about(project=project_id):
            self.rounds(project_id)

    def rounds(self, project_id: str) -> None:
        for _ in range(ROUNDS):
            admitted = self.admission.run(self.perform, quiet=project_id)
            project = self.store.load(project_id)
            if project is None:
                return
            effects = [e for e in outstanding(project) if not isinstance(e, WakeAt)]
            urgent = [e for e in effects if not isinstance(e, SealStage)]
            seals = [e for e in effects if isinstance(e, SealStage)]
            facts = self.perform(project, [*urgent, *self.few(project_id, seals, busy=bool(urgent))])
            if facts:
                self.sender.facts(project_id, facts, quiet=True)
            elif not admitted:
                return

    def few(self, project_id: str, seals: Sequence[Effect], *, busy: bool) -> Sequence[Effect]:
        """What to seal here and now: nothing while there is somebody aside who keeps up, or something that is urgent
        and few to seal. Where they pile up, a few at a time, whatever is urgent: that holds back stages that end
        faster than they are sealed."""
        if seals and self.sealing is not None:
            self.sealing.ask(project_id)
        if len(seals) > MANY or (self.sealing is None and not busy):
            return seals[:FEW]
        return []

    def seal(self, project_id: str) -> None:
        """Everything of the project that waits for sealing."""
        with about(project=project_id):
            project = self.store.load(project_id)
            seals = [e for e in outstanding(project) if isinstance(e, SealStage)] if project is not None else []
            facts = self.perform(project, seals) if project is not None else []
            if facts:
                self.sender.facts(project_id, facts, quiet=True)

    def perform(self, project: Project, effects: Sequence[Effect]) -> list[m.AnyFact]:
        facts: list[m.AnyFact] = []
        for effect in effects:
            with about(project=project.id, **attempt_of(project, effect)):
                facts += self.perform_one(project, effect)
        return facts

    def perform_one(self, project: Project, effect: Effect) -> list[m.AnyFact]:
        needs = self.performer.needs(project, effect)
        blocked = next((w for w in needs if not self.breaker.allows(w)), None)
        if blocked is not None:
            self.breaker.failed(blocked, project.id)
            return [f for f in held_up(effect, blocked, self.breaker.why(blocked)) if untold(project, f)]
        try:
            facts = self.performer(project, effect)
        except Parked as away:
            log.warning("%s: %s waits for %s: %s", project.id, effect.kind, away.what, away.__cause__)
            self.breaker.failed(away.what, project.id, condition(away), at_once=hangs(away))
            return [f for f in away.facts if news(project, f)]
        for what in needs:
            self.breaker.succeeded(what)
        return facts


class Sealing:
    """Seals in a thread of its own, and a little later: what follows an end is about to be committed, and the two
    should not collide. What it has not done when the process ends stays dirty, and is rung again."""

    def __init__(self, seal: Callable[[str], None]) -> None:
        self._seal = seal
        self._asked: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._known: set[str] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sealing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._asked.put(None)
        self._thread.join(timeout=5)

    def ask(self, project: str) -> None:
        with self._lock:
            if project not in self._known:
                self._known.add(project)
                self._asked.put(project)

    def _work(self) -> None:
        while (project := self._asked.get()) is not None:
            self._stopping.wait(ASIDE)
            with self._lock:
                self._known.discard(project)  # from here on a new one is asked for anew
            try:
                self._seal(project)
            except WinslowError as error:
                log.warning("%s is sealed later: %s", project, error)
            except Exception:
                log.exception("sealing %s failed; it is tried again", project)


def attempt_of(project: Project, effect: Effect) -> dict[str, str]:
    """For the log."""
    stage, attempt = getattr(effect, "stage", 0), getattr(effect, "attempt", 0)
    return {"attempt": str(AttemptRef(project=project.id, stage=stage, attempt=attempt))} if attempt else {}


def condition(away: Parked) -> str:
    """What is wrong, without what it was wrong for: others read it as well."""
    cause = away.__cause__
    return (cause.message if isinstance(cause, Unavailable) else str(cause)).split(": ")[0].rstrip(".")


SILENT = frozenset({"share.stalled", "registry.silent", "nomad.silent", "nomad.no_leader", "nomad.unreachable"})


def hangs(away: Parked) -> bool:
    """It has cost a whole deadline, and would cost another one each time."""
    return isinstance(away.__cause__, Unavailable) and away.__cause__.code in SILENT


def held_up(effect: Effect, what: str, text: str) -> list[m.AnyFact]:
    """Nothing was tried for this effect, since it is known that it cannot work now."""
    said = f"{text or f'{what} cannot be reached'}. It is tried again by itself."
    kind = "share" if what == "share" else "registry" if what.startswith(REGISTRY) else "driver_away"
    return parked(effect, kind, said)


def untold(project: Project, fact: m.AnyFact) -> bool:
    """Nothing was tried: whoever did try has said more about the same trouble, and that stays. Else the two texts take
    turns, each time as a commit, for as long as it lasts."""
    stage = project.stages.get(fact.stage) if isinstance(fact, m.EffectParked) else None
    told = stage.reason if stage is not None else None
    return news(project, fact) and (
        told is None or not isinstance(fact, m.EffectParked) or told.kind != fact.reason.kind
    )


def news(project: Project, fact: m.AnyFact) -> bool:
    """A parked effect says why once."""
    if not isinstance(fact, m.EffectParked):
        return True
    stage = project.stages.get(fact.stage)
    return stage is not None and stage.reason != fact.reason
