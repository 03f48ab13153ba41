"""The RQ queue of doorbells. A job says "look at this project", never what happened; losing one, or
running one twice, changes nothing, because what is to be done stands in the project.

Whoever can write to the server must not be able to make a worker run anything else: jobs name a function
that is looked up in a table of one, carry JSON, have no callbacks and send no webhooks."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from redis import Redis
from redis.exceptions import ConnectionError as ServerAway
from redis.exceptions import TimeoutError as ServerSilent
from rq import Queue
from rq.exceptions import DequeueTimeout
from rq.job import Job
from rq.serializers import JSONSerializer
from rq.timeouts import TimerDeathPenalty
from rq.worker import SimpleWorker

from winslow_nomad.core.errors import Unavailable
from winslow_nomad.store.commit import Command
from winslow_nomad.store.keys import Keys
from winslow_nomad.store.transaction import ask

ADVANCE = "winslow_nomad.worker.advance"
JOB_TIMEOUT = 30  # seconds; everything that advance calls has a shorter limit of its own
BEATS = 10.0  # seconds; its entry expires after 90
FAILURE_TTL = 3600  # seconds that a failed job can be looked at
log = logging.getLogger(__name__)
logging.getLogger("rq.worker").setLevel(logging.WARNING)  # the import sets INFO: four lines for each job

_table: dict[str, Callable[[str], object]] = {}


def answer_with(advance: Callable[[str], object]) -> None:
    """What a doorbell calls in this process. To be set once, before a worker starts."""
    _table[ADVANCE] = advance


class Doorbell(Job):
    """A job that can only call `advance`."""

    @property
    def func(self) -> Callable[..., Any]:
        try:
            return _table[str(self.func_name)]
        except KeyError:
            raise PermissionError(
                f"a job asked for {self.func_name!r}, which is not a doorbell; it was not run"
            ) from None

    @property
    def success_callback(self) -> None:
        return None

    @property
    def failure_callback(self) -> None:
        return None

    @property
    def stopped_callback(self) -> None:
        return None

    def send_webhooks(self, status: Any, *, exc_string: str | None = None) -> None:  # noqa: ARG002
        return None


class Doorbells:
    """The one queue of an installation."""

    def __init__(self, client: Redis, keys: Keys | None = None) -> None:
        self._client = client
        self.name = f"{(keys or Keys()).prefix}-advance"
        self._queue = queue(client, self.name)

    def commands(self, project: str) -> list[Command]:
        """What rings for `project`, to be part of a transaction: the job that Queue.enqueue_call would write, put
        together here in a tenth of the time, since half of all commits ring."""
        job = uuid.uuid4().hex
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        data = json.dumps((ADVANCE, None, (project,), {}))
        fields = (
            "data", data, "description", f"advance({project!r})", "origin", self.name, "status", "queued",
            "created_at", now, "enqueued_at", now,
            "timeout", JOB_TIMEOUT, "result_ttl", 0, "failure_ttl", FAILURE_TTL,
        )  # fmt: skip
        return [
            ("SADD", Queue.redis_queues_keys, self._queue.key),
            ("HSET", Job.key_for(job), *fields),
            ("RPUSH", self._queue.key, job),
        ]

    def ring(self, project: str) -> None:
        """Ring outside of a commit; ringing twice is harmless. Raises StoreUnavailable."""
        ask(self._client, *self.commands(project))

    def length(self) -> int:
        return int(ask(self._client, ("LLEN", self._queue.key))[0])


def queue(client: Redis, name: str) -> Queue:
    return Queue(name, connection=client, job_class=Doorbell, serializer=JSONSerializer, default_timeout=JOB_TIMEOUT)


class ThreadWorker(SimpleWorker):
    """Calls `advance` and takes the doorbell away, in a thread beside others. Leaves the process's signals, title and
    commands by pub/sub alone, and waits out a store that is away. What `advance` calls must have time-outs of its own,
    because a thread that is blocked in a call cannot be interrupted.

    RQ's own way writes some sixty commands for a job, each on disk before the next: registries, heartbeats, results,
    none of which a doorbell needs, since the dirty mark rings again for whatever was not finished."""

    job_class = Doorbell
    death_penalty_class = TimerDeathPenalty
    _beaten = 0.0

    @classmethod
    def on(cls, client: Redis, name: str) -> ThreadWorker:
        """`client` must be the worker's own: RQ changes the time-outs of its pool."""
        worker = cls(
            [queue(client, name)],
            connection=client,
            job_class=Doorbell,
            serializer=JSONSerializer,
            worker_ttl=30,  # RQ adds 60
            maintenance_interval=60,
            log_job_description=False,
        )
        worker.queues[0].death_penalty_class = TimerDeathPenalty
        return worker

    def execute_job(self, job: Job, queue: Queue) -> None:
        try:
            job.func(*job.args)
        except Unavailable as error:
            log.warning("doorbell %s is rung again: %s", job.args, error)
        except Exception:
            log.exception("doorbell %s failed; it is rung again", job.args)
        finally:
            with self.connection.pipeline(transaction=True) as pipeline:
                pipeline.lrem(queue.intermediate_queue_key, 1, job.id)
                pipeline.delete(job.key)
                pipeline.execute()

    def _set_ip_address(self, connection: Redis) -> None:  # noqa: ARG002
        """Nobody reads it, and the answer that RQ asks for cannot be read where the socket's path has a space."""
        self.ip_address = "unknown"

    def _install_signal_handlers(self) -> None:
        return None

    def subscribe(self) -> None:
        return None

    def unsubscribe(self) -> None:
        return None

    def procline(self, message: str) -> None:  # noqa: ARG002
        return None

    def run(self, stopping: threading.Event) -> None:
        """Answer doorbells until `stopping` is set; returns within about a second of that."""
        registration: Any = self  # RQ has no types for it
        registered = False
        pause = 0.05
        while not stopping.is_set():
            try:
                if not registered:
                    # its own entry may have outlived the cut, and RQ would refuse it as another worker's for 90 s
                    self.connection.delete(self.key)
                    registration.register_birth()
                    registered = True
                    self._beaten = time.monotonic()
                self._step()
                pause = 0.05
            except (ServerAway, ServerSilent) as error:
                log.warning("the store is away, the worker waits: %s", error)
                registered = False  # its entry may be gone when the store is back
                stopping.wait(pause)
                pause = min(pause * 2, 1.0)
            except Exception:  # RQ's own code failed on a job or an answer; the doorbell rings again
                log.exception("a doorbell could not be answered")
                stopping.wait(pause)
                pause = min(pause * 2, 1.0)
        try:
            if registered:
                registration.register_death()
        except (ServerAway, ServerSilent):
            log.info("the store is away; the worker's entry expires by itself")

    def _step(self) -> None:
        rq: Any = super()
        if time.monotonic() - self._beaten >= BEATS:  # three writes, each on disk before a doorbell is heard
            self.heartbeat()
            self._beaten = time.monotonic()
        if self.should_run_maintenance_tasks:
            rq.run_maintenance_tasks()
        try:
            found = self.queue_class.dequeue_any(
                self.queues,
                1,
                connection=self.connection,
                job_class=self.job_class,
                serializer=self.serializer,
                death_penalty_class=self.death_penalty_class,
            )
        except DequeueTimeout:
            return
        if found is None:
            return
        job, source = found
        job.redis_server_version = rq.get_redis_server_version()
        self.execute_job(job, source)


class WorkerThread:
    """A ThreadWorker with its thread."""

    def __init__(self, client: Redis, name: str) -> None:
        self._client = client
        self._name = name
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="worker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> bool:
        """True: it has ended. False: it is still busy with a doorbell; it ends after that."""
        self._stopping.set()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                worker = ThreadWorker.on(self._client, self._name)
            except (ServerAway, ServerSilent):
                self._stopping.wait(0.2)
                continue
            except Exception:  # without a worker everything would wait and nobody would know
                log.exception("the worker could not begin; it is tried again")
                self._stopping.wait(1.0)
                continue
            worker.run(self._stopping)
