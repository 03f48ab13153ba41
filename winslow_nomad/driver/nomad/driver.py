"""The driver `nomad`: each attempt is one batch job, made once and never again.

Any number of processes may hold one; they share nothing but Nomad and the attempts' directories. A job that is
made twice is refused by Nomad, an attempt that is started twice by its claim. Must never take Nomad's word for an
end where end.json could speak, and never purge a job: Nomad's own garbage collection does that."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Literal

from winslow_nomad.core.client import Finding
from winslow_nomad.core.errors import DriverRejected, DriverUnavailable, ShareUnavailable, Unavailable
from winslow_nomad.core.inventory import Inventory
from winslow_nomad.core.ports import AttemptRef, Attempts, AttemptSpec, Clock, Observation
from winslow_nomad.core.stage import Cause, Outcome, Reason
from winslow_nomad.driver.claim import Claim, parse_claim
from winslow_nomad.driver.nomad import check, examine, job, nodes, reasons
from winslow_nomad.driver.nomad.client import STARTS_JOBS, WANTED, AlreadyThere, Client, Document
from winslow_nomad.driver.nomad.faults import NO_LEADER, Answer, NoAnswer
from winslow_nomad.driver.nomad.files import NodeSpool
from winslow_nomad.driver.nomad.follow import RESYNC, Follower, Lag
from winslow_nomad.driver.nomad.load import NomadLoads
from winslow_nomad.driver.nomad.nodes import NodeDetail
from winslow_nomad.driver.nomad.outcome import Verdict, judge, observation
from winslow_nomad.driver.nomad.picture import NODES_AGE, Picture
from winslow_nomad.driver.nomad.pulse import EVERY
from winslow_nomad.driver.nomad.site import Site
from winslow_nomad.driver.nomad.view import Attempt

log = logging.getLogger(__name__)

END_GRACE = 10.0  # seconds that a runner's end record may need to show, after Nomad says that its container is gone
LOG_PATIENCE = 60.0  # seconds more that the rest of its log may need to be fetched from the node
FETCHED_WITHIN = 0.2  # seconds that whoever looks waits for that; it is looked at again
LOOK_AGAIN = 0.5  # seconds between two looks at what is over and has no end record yet
TRIES = 3
DAY = 86_400.0  # seconds
NOT_THERE = re.compile(r'nonexistent ([a-z ]+) "([^"]*)"')  # an administrator's to make, and no mistake of a stage


class NomadDriver:
    name = "nomad"

    def __init__(
        self,
        *,
        client: Client,
        site: Site,
        attempts: Attempts,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        end_grace: float = END_GRACE,
        resync: float = RESYNC,
        pulse: float = EVERY,
    ) -> None:
        self._client, self._site = client, site
        self._attempts, self._clock, self._monotonic = attempts, clock, monotonic
        self._end_grace = end_grace
        self.resync, self.pulse = resync, pulse
        self._picture = Picture(client, job.prefix(site.installation), monotonic)
        self.loads = NomadLoads(client, self._picture, self._nodes, site.installation, monotonic)
        self._claims: dict[AttemptRef, Claim] = {}  # of runners, and such that say "cancelled": they never change
        self._over: dict[AttemptRef, float] = {}  # over without an end record, and since when
        self._known: tuple[int, tuple[NodeDetail, ...]] | None = None  # as of a version of the picture
        self._unplaced: tuple[int, reasons.Unplaced] | None = None  # the same
        self._fetching: dict[AttemptRef, Future[bool]] = {}
        self._fetchers = ThreadPoolExecutor(2, thread_name_prefix="nomad-logs")
        self._new_enough = False
        self._guard = threading.Lock()
        self.lag = Lag()

    # --- core.ports.Driver

    def submit(self, spec: AttemptSpec) -> Observation:
        end = self._attempts.end(spec.ref)
        if end is not None:  # cancelled meanwhile, or repeated long after: there is nothing to run
            return observation(spec.ref, Verdict(phase="absent"), end)
        self._refuse_what_is_too_old()
        made = job.build(spec, self._site, self._nodes())
        self._picture.expect(made["ID"])
        self._register(made, spec)
        return self._look(spec.ref, self._picture.attempt(made["ID"], age=NODES_AGE), None)

    def stop(self, ref: AttemptRef, how: Literal["terminate", "kill"]) -> None:  # noqa: ARG002
        """Claims it, so that it never starts, where no runner has. A job that is stopped twice, or unknown, is no
        error. How hard: `control` tells the runner; Nomad itself kills what outlives its grace time."""
        with suppress(ShareUnavailable):
            self._attempts.cancel(ref)
        self._client.deregister(self._id(ref))
        self._picture.changed_here()

    def observe(self, refs: Iterable[AttemptRef]) -> list[Observation]:
        return [self._observe(ref) for ref in refs]

    def follow(self, report: Callable[[Observation], None], stopping: Callable[[], bool]) -> None:
        Following(self, report).run(stopping)

    def inventory(self) -> Inventory:
        return nodes.inventory(self._nodes(), self._clock.now())

    def forget(self, ref: AttemptRef) -> None:
        """Stopped, so that Nomad runs it never again, whatever becomes of its node."""
        known = self._picture.known(self._id(ref))
        if known.job is None or not known.job.get("Stop"):
            self._client.deregister(self._id(ref))
            self._picture.changed_here()
        with self._guard:
            self._claims.pop(ref, None)
            self._over.pop(ref, None)

    # --- more about it

    def nodes(self) -> tuple[NodeDetail, ...]:
        return self._nodes()

    def spool_of(self, ref: AttemptRef) -> NodeSpool | None:
        """The log of an attempt as its node has it; None: it does not run, as far as Nomad knows. Asks Nomad once."""
        found = self._client.allocations_of(self._id(ref)).items
        running = [a for a in found if a.get("ClientStatus") == "running"]
        claim = self._claim(ref) if len(running) > 1 else None
        held = [a for a in running if claim is None or a.get("ID") == claim.owner]
        return NodeSpool(self._client, str(held[0]["ID"])) if held else None

    def findings(self) -> list[Finding]:
        """For `winslow doctor`."""
        return list(check.findings(self._client, self._site, self._clock.now()))

    def examine(self) -> list[Finding]:
        """What each node lacks; asks their agents."""
        return list(examine.nodes(self._nodes(), self._client))

    def try_share(self, *, image: str, folder: str, script: str) -> dict[str, str]:
        """As examine.try_share."""
        return examine.try_share(self._client, self._site, self._nodes(), image=image, folder=folder, script=script)

    def close(self) -> None:
        self._fetchers.shutdown(wait=False, cancel_futures=True)
        self.loads.close()
        self._client.close()

    # --- starting

    def _refuse_what_is_too_old(self) -> None:
        """Asked once; a token that may not ask keeps nobody from starting."""
        if self._new_enough:
            return
        try:
            version = self._client.version()
        except DriverUnavailable as error:
            if error.code not in ("nomad.forbidden", "nomad.token"):
                raise
            version = ()
        if check.too_old(version):
            raise DriverUnavailable(
                f"Nomad {check.shown(version)} is too old; nothing was started.",
                hint=f"Upgrade it to {check.shown(WANTED)} or later.",
                code="nomad.too_old",
            )
        self._new_enough = True

    def _register(self, made: Document, spec: AttemptSpec) -> None:
        """Create-only, and repeated until it is certain that the job is there, and ours."""
        for last in range(TRIES - 1, -1, -1):
            try:
                index = self._client.register(made)
            except AlreadyThere:
                pass
            except (Answer, NoAnswer) as error:
                refused = isinstance(error, Answer) and (error.status < 500 or NO_LEADER in error.text)
                if refused or (not last and not self._is_there(made)):
                    self._refuse(made, spec, error)
            else:
                self._picture.made(made, index)
                return
            if self._settled(made, spec):
                return
        raise DriverUnavailable(
            f"It is not certain yet what Nomad has taken: attempt {spec.ref} was to start.",
            hint="It is tried again by itself.",
        )

    def _settled(self, made: Document, spec: AttemptSpec) -> bool:
        """Is a job of this name there? Raises DriverRejected when it is another one."""
        found = self._client.job(made["ID"])
        if found is None:
            return False
        meta = found.get("Meta") or {}
        if meta.get(job.FINGERPRINT) != spec.fingerprint:
            raise DriverRejected(
                f"Attempt {spec.ref} was submitted before with another specification; that one stays.",
                hint="Start a new attempt.",
            )
        self._picture.changed_here()
        return True

    def _is_there(self, made: Document) -> bool:
        with suppress(DriverUnavailable):
            return self._client.job(made["ID"]) is not None
        return False

    def _refuse(self, made: Document, spec: AttemptSpec, error: Answer | NoAnswer) -> None:
        """Nomad says no; a mistake in the job is told from a failure by asking for mistakes."""
        if isinstance(error, Answer) and error.status in (400, 500) and NO_LEADER not in error.text:
            mistakes = self._client.mistakes(made)
            missing = next(filter(None, map(NOT_THERE.search, mistakes)), None)
            if missing is not None:
                raise DriverUnavailable(
                    f"Nomad has no {missing[1]} {missing[2]}: it cannot start attempt {spec.ref}.",
                    hint="Make it, as docs/cluster.md says; what waits goes on by itself then.",
                    code="nomad.not_set_up",
                ) from error
            if mistakes:
                raise DriverRejected(
                    f"Nomad refuses the job of attempt {spec.ref}: {'; '.join(mistakes)}. Nothing was started.",
                    hint="Change the stage, and start it again.",
                    code="nomad.job_refused",
                ) from error
        raise self._client.told(error, f"start attempt {spec.ref}", STARTS_JOBS) from error

    # --- looking

    def _id(self, ref: AttemptRef) -> str:
        return job.job_id(self._site.installation, ref)

    def _nodes(self) -> tuple[NodeDetail, ...]:
        before = self._picture.version
        documents, allocations = self._picture.nodes()
        if self._known is None or self._known[0] != self._picture.version:
            self._known = before, nodes.read_nodes(documents, allocations, self._site)
        return self._known[1]

    def _observe(self, ref: AttemptRef) -> Observation:
        """The share is asked first: with an end there, Nomad's word is not needed."""
        end = self._attempts.end(ref)
        found = self._picture.known(self._id(ref)) if end is not None else self._picture.attempt(self._id(ref))
        return self._look(ref, found, end)

    def _look(self, ref: AttemptRef, found: Attempt, end: Outcome | None) -> Observation:
        which = end is None or end.cause is Cause.STOPPED  # else no allocation has anything to add
        claim = self._claim(ref) if found.allocations and which else None
        verdict = judge(found.job, found.allocations, claim)
        if end is None and verdict.phase == "over":
            end = self._settle(ref, verdict)
        if end is not None:
            with self._guard:
                self._over.pop(ref, None)
                self._fetching.pop(ref, None)
        reason = self._reason(found) if verdict.phase == "waiting" and end is None else None
        return observation(ref, verdict, end, reason)

    def _claim(self, ref: AttemptRef) -> Claim | None:
        with self._guard:
            known = self._claims.get(ref)
        if known is not None:
            return known
        claim = parse_claim(self._attempts.claim_of(ref))
        if claim is not None and claim.kind != "unreadable":
            with self._guard:
                self._claims[ref] = claim
        return claim

    def _settle(self, ref: AttemptRef, verdict: Verdict) -> Outcome | None:
        """Publish an end for a runner that will not. First the claim, or the word that ends who holds it: nothing may
        be at work any more. None: it may still come."""
        now = self._monotonic()
        with self._guard:
            since = self._over.setdefault(ref, now)
        outcome = verdict.end(now - since, self._end_grace)
        if outcome is None:
            return None
        waited = now - since >= self._end_grace + LOG_PATIENCE
        if verdict.started is not None and not waited and not self._log_is_whole(ref, verdict.allocation):
            return None
        end = self._attempts.cancel(ref, outcome)
        if end is None:
            self._attempts.control(ref, "superseded")
            end = self._attempts.publish_end(ref, outcome)
        return end

    def _log_is_whole(self, ref: AttemptRef, allocation: str) -> bool:
        """Fetched in a thread of its own: a node that does not answer must keep no report of others waiting."""
        with self._guard:
            fetching = self._fetching.get(ref)
            if fetching is None:
                spool = NodeSpool(self._client, allocation)
                fetching = self._fetching[ref] = self._fetchers.submit(self._attempts.complete_log, ref, spool)
        try:
            fetching.result(timeout=FETCHED_WITHIN)
        except TimeoutError:
            return False
        except DriverUnavailable as error:  # its node may answer in a moment
            log.info("the end of the log of %s: %s", ref, error)
            with self._guard:
                self._fetching.pop(ref, None)
            return False
        except ShareUnavailable:
            with self._guard:
                self._fetching.pop(ref, None)
            raise
        return True

    def _reason(self, found: Attempt) -> Reason | None:
        if found.allocations:
            return reasons.starting(found.allocations[-1])
        if found.job is None:
            return None
        failed = ((found.evaluation or {}).get("FailedTGAllocs") or {}).get(job.GROUP)
        return self._line().reason(found.job, failed)

    def _line(self) -> reasons.Unplaced:
        """With a thousand that wait, most looks find nothing new."""
        before = self._picture.version
        known, here = self._nodes(), self._unplaced
        if here is None or here[0] != self._picture.version:
            inventory = nodes.inventory(known, self._clock.now())
            here = self._unplaced = before, reasons.Unplaced(self._picture.unplaced(), inventory)
        return here[1]


class Following:
    """Reports what changes, once each; and looks again at what is over without an end record."""

    def __init__(self, driver: NomadDriver, report: Callable[[Observation], None]) -> None:
        self._driver, self._report = driver, report
        self._told: dict[AttemptRef, Observation] = {}
        self._due: set[str] = set()
        self._next_look = 0.0
        self._next_warning = driver._monotonic() + DAY

    def run(self, stopping: Callable[[], bool]) -> None:
        driver = self._driver
        self._warn()
        follower = Follower(
            driver._client.access,
            driver._picture,
            self._tell,
            self._look_again,
            lambda: driver._client.index(driver._picture.prefix),
            resync=driver.resync,
            pulse=driver.pulse,
            lag=driver.lag,
        )
        follower.run(stopping)

    def _warn(self) -> None:
        """Of what should be mended, such as a token that ends soon."""
        for finding in self._driver.findings():
            if finding.severity in ("warning", "problem"):
                log.warning("Nomad: %s. %s", finding.text.rstrip("."), finding.fix)

    def _tell(self, jobs: Iterable[str]) -> None:
        for job_id in jobs:
            self._tell_of(job_id)
        here = self._driver._picture.job_ids()
        if len(self._told) > 2 * len(here) + 100:
            self._told = {ref: o for ref, o in self._told.items() if self._driver._id(ref) in here}

    def _tell_of(self, job_id: str) -> None:
        driver = self._driver
        found = driver._picture.known(job_id)
        meta = (found.job or {}).get("Meta")
        ref = job.ref_of(job_id, meta, driver._site.installation)
        if ref is None:
            return
        before = self._told.get(ref)
        if not found.known or (before is not None and before.phase == "ended"):
            return
        try:
            seen = driver._look(ref, found, driver._attempts.end(ref))
        except Unavailable as error:  # looked at again, and by the sweep
            log.warning("attempt %s: %s", ref, error)
            self._due.add(job_id)
            return
        if ref in driver._over:
            self._due.add(job_id)
        if before is None or seen.but(index=0) != before.but(index=0):
            self._told[ref] = seen
            self._report(seen)

    def _look_again(self) -> None:
        if self._driver._monotonic() >= self._next_warning:
            self._next_warning += DAY
            threading.Thread(target=self._warn, name="nomad-check", daemon=True).start()  # it may have to wait
        now = time.monotonic()
        if now < self._next_look or not self._due:
            return
        self._next_look = now + LOOK_AGAIN
        due, self._due = self._due, set()
        self._tell(due)
