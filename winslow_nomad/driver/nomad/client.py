"""Asks Nomad: jobs, allocations, evaluations, nodes, and files of allocations. One method for each question.

Safe to share between threads. Reads are repeated by themselves; a write is never repeated here, since only the
caller knows whether it may. Must never decide what an answer means for an attempt."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import httpx
import nomad
import nomad.api.exceptions as theirs
import requests

from winslow_nomad.core.errors import DriverUnavailable
from winslow_nomad.driver.nomad import faults
from winslow_nomad.driver.nomad.access import Access
from winslow_nomad.driver.nomad.faults import Answer, NoAnswer

Document = dict[str, Any]
T = TypeVar("T")

PAGE = 500  # objects of a list asked for at once
FAILED = 500  # a status from which on it is no fault of what was asked
LEAST = (1, 11, 3)  # older ones cut event streams short, or speak them wrongly
WANTED = (2, 0, 4)

LISTS_JOBS = "list-jobs and read-job in the namespace {namespace}"
READS_JOBS = "read-job in the namespace {namespace}"
STARTS_JOBS = "submit-job in the namespace {namespace}, and mount-readwrite for the host volume"
STOPS_JOBS = "submit-job (or deregister-job) in the namespace {namespace}"
READS_NODES = '`node {{ policy = "read" }}`'
CHANGES_NODES = '`node {{ policy = "write" }}`'
READS_OPERATOR = '`operator {{ policy = "read" }}`'
READS_FILES = "read-fs in the namespace {namespace}"


@dataclass(frozen=True)
class Listing:
    """`index`: everything that happened up to it is in the list, and nothing else is certain to be."""

    items: list[Document]
    index: int


@dataclass(frozen=True)
class Agent:
    """`kill_timeout`: the longest that it waits for a task to end, as it writes durations; None: it does not tell (it
    is not reached from here, or the token may not ask agents). `open`: it answers whoever has no token."""

    kill_timeout: str | None
    open: bool


class AlreadyThere(Exception):
    """A job of this id exists, in whatever state."""


class Client:
    def __init__(self, access: Access) -> None:
        self.access = access
        self._here = threading.local()
        self._adapters = access.adapters()
        self._files: httpx.Client | None = None
        self._guard = threading.Lock()
        self._counted = 0

    @property
    def asked(self) -> int:
        """How many requests were made, for keeping their number in check."""
        return self._counted

    # --- jobs

    def register(self, job: Document) -> int:
        """Create it; the index of its creation. Raises AlreadyThere, Answer, NoAnswer: the caller settles those."""
        body = {"Job": job, "EnforceIndex": True, "JobModifyIndex": 0}
        try:
            made = self._raw(lambda n: _document(n.jobs.request(json=body, method="put", params={})))
        except Answer as error:
            if faults.EXISTS in error.text:
                raise AlreadyThere from error
            raise
        return int(made.get("JobModifyIndex") or 0)

    def mistakes(self, job: Document) -> list[str]:
        """What Nomad finds wrong with a job."""

        def asks(n: nomad.Nomad) -> Document:
            where = {"namespace": self.access.namespace}
            return _document(n.validate.request("job", method="put", json={"Job": job}, params=where))

        found = self._ask("check a job", READS_JOBS, asks)
        return [str(e) for e in found.get("ValidationErrors") or ()]

    def may_start(self) -> None:
        """Raises DriverUnavailable where the token may not start jobs. Starts none."""
        job = {
            "ID": "winslow-doctor",
            "Name": "winslow-doctor",
            "Namespace": self.access.namespace,
            "Type": "batch",
            "Datacenters": ["*"],
            "TaskGroups": [
                {"Name": "none", "Count": 0, "Tasks": [{"Name": "none", "Driver": "docker", "Config": {"image": "-"}}]}
            ],
        }

        def asks(n: nomad.Nomad) -> Document:
            return _document(n.job.request(str(job["ID"]), "plan", method="put", json={"Job": job, "Diff": False}))

        self._ask("start jobs", STARTS_JOBS, asks)

    def job(self, job_id: str) -> Document | None:
        return self._ask_for_one("look at a job", READS_JOBS, lambda n: _get(n.job, job_id))

    def deregister(self, job_id: str) -> None:
        """It is no error when there is none."""
        self._ask("stop a job", STOPS_JOBS, lambda n: n.job.deregister_job(job_id))

    def jobs(self, prefix: str, *, only_wanted: bool) -> Listing:
        """With their meta. only_wanted: those that nobody has stopped."""
        asked = {"prefix": prefix, "meta": "true", **({"filter": "Stop == false"} if only_wanted else {})}
        return self._list("list jobs", LISTS_JOBS, lambda n: n.jobs, asked)

    def index(self, prefix: str) -> int:
        """Of the newest change of any job, also of others'; 0: it does not say."""
        asked = {"prefix": prefix, "per_page": "1"}
        return self._ask("list jobs", LISTS_JOBS, partial(_get_page, lambda n: n.jobs, asked))[0].index

    def allocations(self, *, filtered: str = "") -> Listing:
        asked = {"task_states": "true", "resources": "true", **({"filter": filtered} if filtered else {})}
        return self._list("list allocations", READS_JOBS, lambda n: n.allocations, asked)

    def allocations_of(self, job_id: str) -> Listing:
        def asks(n: nomad.Nomad) -> Listing:
            return _page(n.job.request(job_id, "allocations", method="get", params={"all": "true"}))[0]

        return self._ask("list the allocations of a job", READS_JOBS, asks)

    def evaluations(self, filtered: str) -> Listing:
        asked = {"filter": filtered, "namespace": self.access.namespace}
        return self._list("list evaluations", READS_JOBS, lambda n: n.evaluations, asked)

    def namespace(self) -> Document | None:
        """That in which jobs are made; None: there is none, or none that may be seen."""
        name = self.access.namespace
        return self._ask_for_one("look at its namespace", READS_JOBS, lambda n: _get(n.namespace, name))

    def lets_memory_grow(self) -> bool:
        """Whether a task may use more memory than it reserves."""

        def asks(n: nomad.Nomad) -> Document:
            return _document(n.operator.request("scheduler", "configuration", method="get"))

        found = self._ask("read how the cluster places jobs", READS_OPERATOR, asks)
        return bool((found.get("SchedulerConfig") or {}).get("MemoryOversubscriptionEnabled"))

    # --- nodes

    def nodes(self) -> Listing:
        return self._list("list nodes", READS_NODES, lambda n: n.nodes, {"resources": "true"})

    def node(self, node_id: str) -> Document | None:
        return self._ask_for_one("look at a node", READS_NODES, lambda n: _get(n.node, node_id))

    def stats(self, node_id: str) -> Document | None:
        """Figures of the machine now, from its own agent, fetched by the server; None: there is no such node."""

        def asks(n: nomad.Nomad) -> Document:
            return _document(n.client.stats.request(method="get", params={"node_id": node_id}))

        return self._ask_for_one("look at the load of a node", READS_NODES, asks)

    def drain(self, node_id: str, text: str) -> None:
        """Nothing new, and no deadline for what runs."""
        spec = {"Deadline": 0, "IgnoreSystemJobs": True}
        self._put_drain(node_id, {"DrainSpec": spec, "Meta": {"message": text}})

    def undrain(self, node_id: str) -> None:
        self._put_drain(node_id, {"DrainSpec": None, "MarkEligible": True})

    def _put_drain(self, node_id: str, body: Document) -> None:
        def asks(n: nomad.Nomad) -> Document:
            return _document(n.node.request(node_id, "drain", method="put", json=body))

        self._ask("drain a node", CHANGES_NODES, asks)

    def agent_at(self, address: str) -> Agent:
        """What the agent at `address` itself tells of its configuration. It is asked without a token first."""
        access = replace(self.access, address=f"{self.access.address.partition(':')[0]}://{address}", region="")
        if access.server_name.startswith("server."):
            access = replace(access, server_name=access.server_name.replace("server", "client", 1))  # as Nomad's own
        for asked in (replace(access, token="", token_file=""), access):
            with suppress(Answer, NoAnswer):
                found = Client(asked)._raw(lambda n: _get(n.agent, "self"))
                client = (found.get("config") or {}).get("Client") or {}
                told = str(client["MaxKillTimeout"]) if client.get("MaxKillTimeout") else None
                return Agent(told, open=asked is not access)
        return Agent(None, open=False)

    def version(self) -> tuple[int, ...]:
        """Of the oldest server that is alive."""
        found = self._ask("list its servers", READS_NODES, lambda n: _get(n.agent, "members"))
        members = (m for m in found.get("Members") or () if m.get("Status") == "alive")
        builds = [str((m.get("Tags") or {}).get("build", "")) for m in members]
        return min((parsed_version(b) for b in builds), default=())

    # --- files of an allocation

    def size_of(self, allocation: str, path: str) -> int | None:
        """Bytes of a file in the allocation's directory; None: there is no such file, or no such allocation."""
        found = self._fetch(f"/v1/client/fs/stat/{allocation}", {"path": path})
        return None if found is None else _size_in(found.content)

    def bytes_of(self, allocation: str, path: str, offset: int, count: int) -> bytes:
        """Call only for a range that `size_of` has told of: Nomad sends an error as if it were the file's text."""
        if count <= 0:
            return b""
        asked = {"path": path, "offset": str(offset), "limit": str(count)}
        found = self._fetch(f"/v1/client/fs/readat/{allocation}", asked)
        return found.content if found is not None else b""

    def close(self) -> None:
        self._ask_elsewhere()
        with self._guard:
            if self._files is not None:
                self._files.close()
                self._files = None

    def _renew(self, files: httpx.Client) -> None:
        """Whatever ails it may be cured by new certificates, read when a client is made, or by another server.
        Others may be using the old one, which is why it is not closed."""
        with self._guard:
            if self._files is files:
                self._files = None

    # --- how it asks

    def _list(self, doing: str, right: str, of: Callable[[nomad.Nomad], Any], asked: Mapping[str, str]) -> Listing:
        """All pages. The index is the first page's: what changes while the others are fetched comes again."""
        items: list[Document] = []
        index, token = 0, ""
        while True:
            more = {"next_token": token} if token else {}
            params = {**asked, "per_page": str(PAGE), **more}
            page, token = self._ask(doing, right, partial(_get_page, of, params))
            items += page.items
            index = index or page.index
            if not token:
                return Listing(items, index)

    def _ask_for_one(self, doing: str, right: str, call: Callable[[nomad.Nomad], Document]) -> Document | None:
        try:
            return self._raw(call)
        except Answer as error:
            if error.status == 404 and not error.foreign:
                return None
            raise self.told(error, doing, right) from error
        except NoAnswer as error:
            raise self.told(error, doing, right) from error

    def _ask(self, doing: str, right: str, call: Callable[[nomad.Nomad], T]) -> T:
        try:
            return self._raw(call)
        except (Answer, NoAnswer) as error:
            raise self.told(error, doing, right) from error

    def told(self, error: Answer | NoAnswer, doing: str, right: str) -> DriverUnavailable:
        """What people read. Nomad refuses a token that has expired, or that it does not know, in the words in which it
        refuses one that lacks a right; so it is asked about the token."""
        token: faults.Token = "good"
        if isinstance(error, Answer) and error.status == 403 and not error.foreign:
            token = self._state_of_token()
        return faults.told(error, self.access, doing, right.format(namespace=self.access.namespace), token)

    def _state_of_token(self) -> faults.Token:
        if not self.access.secret():
            return "none"
        try:
            self.token()
        except Answer as error:
            if faults.EXPIRED in error.text:
                return "expired"
            return "unknown" if error.status == 403 else "good"
        except NoAnswer:
            return "good"
        return "good"

    def token(self) -> Document | None:
        """What Nomad knows of the token, such as its ExpirationTime; None: it is the identity of a job. Raises Answer,
        NoAnswer."""
        try:
            return self._raw(lambda n: _get(n.acl, "token/self"))
        except Answer as error:
            if error.status == 404:
                return None
            raise

    def _raw(self, call: Callable[[nomad.Nomad], T]) -> T:
        self._counted += 1
        try:
            return call(self._nomad())
        except (theirs.BaseNomadException, requests.RequestException, ValueError, OSError) as error:
            try:
                faults.raised(error)
            except Answer as answer:
                if answer.status >= FAILED:
                    self._ask_elsewhere()
                raise

    def _ask_elsewhere(self) -> None:
        """Further requests go to where the address leads now: a server that has lost the others, or was taken out of
        service, answers on, and who kept the connection would hear of nothing else for ever."""
        for adapter in self._adapters.values():
            adapter.close()

    def _nomad(self) -> nomad.Nomad:
        """One for each thread: its session is not meant to be shared. A new one for a new token."""
        access = self.access
        token = access.secret()
        mine: tuple[str, nomad.Nomad] | None = getattr(self._here, "nomad", None)
        if mine is not None and mine[0] == token:
            return mine[1]
        made = nomad.Nomad(
            address=access.address,
            namespace=access.namespace,
            region=access.region or None,
            token=token or None,
            timeout=(access.connect, access.answer),  # type: ignore[arg-type] # goes to requests as it is
            verify=access.verified_by,  # type: ignore[arg-type]
            cert=access.client_certificate,
            session=access.session(self._adapters),
        )
        self._here.nomad = token, made
        return made

    def _fetch(self, path: str, asked: Mapping[str, str]) -> httpx.Response | None:
        """None: 404."""
        self._counted += 1
        doing = "read a file of a stage"
        with self._guard:
            self._files = self._files or self.access.stream_client(self.access.answer)
            files = self._files
        try:
            answer = files.get(path, params=asked, extensions=self.access.extensions)
            if answer.status_code == 404 and not Answer(404, answer.text).foreign:
                return None
            answer.raise_for_status()
        except httpx.HTTPError as error:
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else FAILED
            if status >= FAILED:
                self._renew(files)
            try:
                faults.raised(error)
            except (Answer, NoAnswer) as sorted_out:
                raise self.told(sorted_out, doing, READS_FILES) from error
        return answer


def parsed_version(build: str) -> tuple[int, ...]:
    """2.0.6-dev+abc -> (2, 0, 6)."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", build)
    return tuple(int(part) for part in found.groups()) if found else ()


def _get_page(of: Callable[[nomad.Nomad], Any], params: dict[str, str], asked: nomad.Nomad) -> tuple[Listing, str]:
    return _page(of(asked).request(method="get", params=params))


def _get(endpoint: Any, name: str) -> Document:
    return _document(endpoint.request(name, method="get"))


def _page(answer: requests.Response) -> tuple[Listing, str]:
    """With what to ask for the next one by. Raises ValueError for what is no list of objects."""
    found = answer.json() or []
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise ValueError("it answered something that is no list of objects")
    index = int(answer.headers.get("X-Nomad-Index", 0))
    return Listing(found, index), answer.headers.get("X-Nomad-NextToken", "")


def _document(answer: requests.Response) -> Document:
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("it answered something that is no object")
    return found


def _size_in(about: bytes) -> int | None:
    """Of a file's description; what is no description counts as no file."""
    with suppress(ValueError, KeyError, TypeError):
        return int(json.loads(about)["Size"])
    return None
