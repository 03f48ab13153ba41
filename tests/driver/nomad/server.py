"""A small Nomad over real HTTP: keeps jobs, allocations and nodes as a server would, streams events from a short ring,
and misbehaves on demand. It places nothing by itself; tests say what happens."""

from __future__ import annotations

import json
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, Self
from urllib.parse import parse_qs, urlsplit

from tests.driver.nomad import documents

Document = dict[str, Any]
Fault = Literal["refuse", "silence", "lose", "cut"]
TASK = "winslow"


class FakeNomad:
    """Use as a context. `ring`: events kept for those who subscribe late. `page`: objects of a list at once.
    `faults`: called with method and path; what to do instead of answering: `refuse` hangs up before anything is done,
    `lose` does it and hangs up, `silence` neither, `cut` ends in the middle of the answer."""

    def __init__(self, *, ring: int = 1000, page: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.ring, self.page = ring, page
        self.index = 10
        self.jobs: dict[str, Document] = {}
        self.allocations: dict[str, Document] = {}
        self.version = "2.0.6"
        self.namespaces = {"winslow"}
        self.token: tuple[int, Any] = (200, {"Name": "winslow", "Policies": ["winslow"], "ExpirationTime": None})
        self.scheduler = {"MemoryOversubscriptionEnabled": False}
        self.evaluations: dict[str, Document] = {}
        self.nodes: dict[str, Document] = {}
        self.files: dict[tuple[str, str], bytes] = {}
        self.asked: list[tuple[str, str]] = []  # method and path
        self.queries: list[dict[str, str]] = []
        self.callers: list[tuple[str, int]] = []  # the other end of each request's connection
        self.headers: list[dict[str, str]] = []
        self.faults: Callable[[str, str], Fault | None] = lambda method, path: None
        self.answers: Callable[[str, str], tuple[int, str] | None] = lambda method, path: None
        self.beat = 0.2  # seconds between signs of life on the stream
        self.greets = True  # writes the first line of a stream
        self.streams = 0  # ever begun
        self._events: list[tuple[int, bytes]] = []
        self._subscribers: list[queue.Queue[bytes | None]] = []
        self._lock = threading.RLock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.nomad = self
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.address = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # --- what happens in the cluster

    def add_node(self, name: str, **changes: Any) -> Document:
        with self._lock:
            made = documents.node(name, **changes) | {"ModifyIndex": self._next()}
            self.nodes[made["ID"]] = made
            self._tell("Node", made["ID"], {"Node": made})
            return made

    def place(self, job_id: str, node: str = "n1", **changes: Any) -> Document:
        """A new allocation, pending."""
        with self._lock:
            index = self._next()
            (found,) = [n for n in self.nodes.values() if n["Name"] == node]
            made: Document = {
                "ID": f"{len(self.allocations):08x}-{job_id}",
                "JobID": job_id,
                "Namespace": "winslow",
                "NodeID": found["ID"],
                "NodeName": node,
                "ClientStatus": "pending",
                "DesiredStatus": "run",
                "CreateIndex": index,
                "ModifyIndex": index,
                "AllocatedResources": {"Tasks": {TASK: {"Cpu": {"CpuShares": 3000}, "Memory": {"MemoryMB": 64}}}},
                "TaskStates": None,
            } | changes
            self.allocations[made["ID"]] = made
            self._tell("Allocation", made["ID"], {"Allocation": made | {"Job": {"big": "x" * 100}}})
            self._job_changed(job_id, Status="running", index=index)
            return made

    def becomes(self, allocation: str, **changes: Any) -> None:
        with self._lock:
            index = self._next()
            known = self.allocations[allocation]
            self.allocations[allocation] = known = known | changes | {"ModifyIndex": index}
            self._tell("Allocation", allocation, {"Allocation": known})
            mine = [a for a in self.allocations.values() if a["JobID"] == known["JobID"]]
            if all(a["ClientStatus"] in ("complete", "failed", "lost") for a in mine):
                self._job_changed(known["JobID"], Status="dead", index=index)

    def starts(self, allocation: str) -> None:
        state = {"State": "running", "StartedAt": "2026-01-01T00:00:00Z", "Events": [_event("Started")]}
        self.becomes(allocation, ClientStatus="running", TaskStates={TASK: state})

    def ends(self, allocation: str, code: int = 0) -> None:
        events = [_event("Started"), _event("Terminated", exit_code=str(code))]
        times = {"StartedAt": "2026-01-01T00:00:00Z", "FinishedAt": "2026-01-01T00:01:00Z"}
        state = {"State": "dead", "Failed": bool(code), "Events": events, **times}
        self.becomes(allocation, ClientStatus="failed" if code else "complete", TaskStates={TASK: state})

    def allocation_of(self, job_id: str) -> str:
        return next(a["ID"] for a in self.allocations.values() if a["JobID"] == job_id)

    def purge(self, job_id: str) -> None:
        with self._lock:
            self._next()
            gone = self.jobs.pop(job_id)
            self.allocations = {k: a for k, a in self.allocations.items() if a["JobID"] != job_id}
            self._tell("Job", job_id, {"Job": gone | {"ModifyIndex": self.index}, "Deleted": True})

    def collect_garbage(self) -> None:
        """Everything that has ended goes, and nobody is told."""
        with self._lock:
            dead = {k for k, j in self.jobs.items() if j["Status"] == "dead"}
            self.jobs = {k: j for k, j in self.jobs.items() if k not in dead}
            self.allocations = {k: a for k, a in self.allocations.items() if a["JobID"] not in dead}

    def restore(self, index: int) -> None:
        """From a snapshot of an empty cluster: all that was is gone, and `index` is that of its last change."""
        with self._lock:
            self.jobs, self.allocations, self.evaluations, self._events = {}, {}, {}, []
            self.index = index
        self.hang_up()

    def hang_up(self) -> None:
        """Every stream ends, as when a server dies."""
        with self._lock:
            for subscriber in self._subscribers:
                subscriber.put(None)
            self._subscribers = []

    def stand_still(self) -> None:
        """No stream that is open tells anything from here on but that it lives: what becomes of them when a server
        takes a snapshot in."""
        with self._lock:
            self._subscribers = []

    def forget_events(self) -> None:
        with self._lock:
            self._events = []

    def says(self, raw: bytes) -> None:
        """Bytes into every stream, whatever they are."""
        with self._lock:
            for subscriber in self._subscribers:
                subscriber.put(raw)

    def count(self, method: str, path: str = "") -> int:
        return sum(m == method and p.startswith(path) for m, p in self.asked)

    # --- how it answers

    def answer(self, method: str, path: str, query: dict[str, str], body: Document) -> tuple[int, Any, dict[str, str]]:
        scripted = self.answers(method, path)
        if scripted is not None:
            moved = {"Location": scripted[1]} if 300 <= scripted[0] < 400 else {}
            return scripted[0], scripted[1], moved
        parts = path.removeprefix("/v1/").split("/")
        with self._lock:
            if parts[:2] == ["client", "fs"]:
                return self._file(parts[2], parts[3], query)
            match method, parts:
                case "PUT", ["jobs"]:
                    return self._register(body)
                case "GET", ["jobs"]:
                    prefix = query.get("prefix", "")
                    found = [j | _summary(self, j) for j in self.jobs.values() if j["ID"].startswith(prefix)]
                    wanted = not query.get("filter")
                    return self._listed([_stub(j) for j in found if wanted or not j["Stop"]], query)
                case "GET", ["job", job_id]:
                    return (200, self.jobs[job_id], {}) if job_id in self.jobs else (404, "job not found", {})
                case "GET", ["job", job_id, "allocations"]:
                    return self._listed([a for a in self.allocations.values() if a["JobID"] == job_id], {})
                case "DELETE", ["job", job_id]:
                    if job_id in self.jobs:
                        self._job_changed(job_id, Stop=True, index=self._next())
                    return 200, {"EvalID": "", "JobModifyIndex": self.index}, {}
                case "GET", ["allocations"]:
                    living = [a for a in self.allocations.values() if _lives(a) or not query.get("filter")]
                    return self._listed(living, query)
                case "GET", ["evaluations"]:
                    return self._listed([e for e in self.evaluations.values() if e["Status"] == "blocked"], query)
                case "GET", ["nodes"]:
                    left_out = ("Meta", "Attributes")
                    stubs = [{k: v for k, v in n.items() if k not in left_out} for n in self.nodes.values()]
                    return self._listed(stubs, query)
                case "GET", ["node", node_id]:
                    return (200, self.nodes[node_id], {}) if node_id in self.nodes else (404, "node not found", {})
        return self._about(method, path, parts)

    def _about(self, method: str, path: str, parts: list[str]) -> tuple[int, Any, dict[str, str]]:
        match method, parts:
            case "GET", ["agent", "members"]:
                return 200, {"Members": [{"Status": "alive", "Tags": {"build": self.version}}]}, {}
            case "GET", ["acl", "token", "self"]:
                return *self.token, {}
            case "GET", ["namespace", name]:
                return (200, {"Name": name}, {}) if name in self.namespaces else (404, "namespace not found", {})
            case "GET", ["operator", "scheduler", "configuration"]:
                return 200, {"SchedulerConfig": self.scheduler}, {}
            case "PUT", ["job", _, "plan"]:
                return 200, {"FailedTGAllocs": None}, {}
            case "PUT", ["validate", "job"]:
                return 200, {"ValidationErrors": None, "Error": "", "Warnings": ""}, {}
        return 404, f"no such thing: {path}", {}

    def subscribe(self, index: int) -> queue.Queue[bytes | None]:
        with self._lock:
            self.streams += 1
            mine: queue.Queue[bytes | None] = queue.Queue()
            if self.greets:
                mine.put(b"{}\n")
            for at, line in self._events[-self.ring :]:
                if at >= index:
                    mine.put(line)
            self._subscribers.append(mine)
            return mine

    def _file(self, doing: str, allocation: str, query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        data = self.files.get((allocation, query["path"]))
        if doing == "stat":
            return (404, "no such file", {}) if data is None else (200, {"Size": len(data)}, {})
        if data is None:
            return 200, b"unexpected error: no such file", {}  # as Nomad does
        offset = int(query["offset"])
        return 200, data[offset : offset + int(query["limit"])], {}

    def _register(self, body: Document) -> tuple[int, Any, dict[str, str]]:
        job = body["Job"]
        if job["ID"] in self.jobs and body.get("EnforceIndex"):
            return 500, "Enforcing job modify index 0: job already exists", {}
        index = self._next()
        indexes = {"CreateIndex": index, "ModifyIndex": index, "JobModifyIndex": index}
        self.jobs[job["ID"]] = made = {**job, **indexes, "Status": "pending", "Stop": False}
        self._tell("Job", job["ID"], {"Job": made})
        return 200, {"EvalID": "e", "JobModifyIndex": index}, {}

    def _listed(self, found: list[Document], query: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        headers = {"X-Nomad-Index": str(self.index)}
        begin = int(query.get("next_token") or 0)
        if self.page and len(found) > begin + self.page:
            headers["X-Nomad-NextToken"] = str(begin + self.page)
        return 200, found[begin : begin + self.page] if self.page else found, headers

    def _job_changed(self, job_id: str, *, index: int, **changes: Any) -> None:
        self.jobs[job_id] = made = self.jobs[job_id] | changes | {"ModifyIndex": index}
        self._tell("Job", job_id, {"Job": made})

    def _next(self) -> int:
        self.index += 1
        return self.index

    def _tell(self, topic: str, key: str, payload: Document) -> None:
        event = {"Topic": topic, "Type": "x", "Key": key, "Index": self.index, "Payload": payload}
        line = json.dumps({"Index": self.index, "Events": [event]}).encode() + b"\n"
        self._events.append((self.index, line))
        for subscriber in self._subscribers:
            subscriber.put(line)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    nomad: FakeNomad

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that leave are what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16  # head and body leave together
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        nomad, url = self.server.nomad, urlsplit(self.path)
        query = {k: v[-1] for k, v in parse_qs(url.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        nomad.asked.append((self.command, url.path))
        nomad.queries.append(query)
        nomad.callers.append(self.client_address)
        nomad.headers.append(dict(self.headers))
        fault = nomad.faults(self.command, url.path)
        if fault == "refuse":
            self._hang_up()
        elif fault == "silence":
            self.connection.recv(1)
        elif url.path == "/v1/event/stream":
            self._stream(int(query.get("index", 0)))
        else:
            status, found, headers = nomad.answer(self.command, url.path, query, json.loads(body) if body else {})
            self._answer(status, found, headers, fault)

    def _answer(self, status: int, found: Any, headers: dict[str, str], fault: Fault | None) -> None:
        if fault == "lose":
            self._hang_up()
            return
        text = found if isinstance(found, str | bytes) else json.dumps(found)
        raw = text.encode() if isinstance(text, str) else text
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw[: len(raw) // 2] if fault == "cut" else raw)
        self.wfile.flush()
        if fault == "cut":
            self._hang_up()

    def _stream(self, index: int) -> None:
        nomad = self.server.nomad
        self.close_connection = True
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        self.wfile.flush()
        lines = nomad.subscribe(index)
        while True:
            try:
                line = lines.get(timeout=nomad.beat)
            except queue.Empty:
                line = b"{}\n" if nomad.greets else b""
            if line is None:
                return
            self.wfile.write(line)
            self.wfile.flush()

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _event(kind: str, **details: str) -> Document:
    return {"Type": kind, "Time": 1_767_225_600_000_000_000, "Details": details}


def _lives(allocation: Document) -> bool:
    return allocation["ClientStatus"] not in ("complete", "failed", "lost")


def _stub(job: Document) -> Document:
    return {k: v for k, v in job.items() if k != "TaskGroups"}


def _summary(nomad: FakeNomad, job: Document) -> Document:
    counts = {"Queued": 0, "Complete": 0, "Failed": 0, "Running": 0, "Starting": 0, "Lost": 0, "Unknown": 0}
    names = {"pending": "Starting"}
    for allocation in nomad.allocations.values():
        if allocation["JobID"] == job["ID"]:
            status = allocation["ClientStatus"]
            counts[names.get(status, status.capitalize())] += 1
    return {"JobSummary": {"Summary": {"attempt": counts}}}
