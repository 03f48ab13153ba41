"""The process that writes to the share: started by `scribe` as a file of its own, never imported by it.

Reads requests from descriptor 3 (four bytes of length, then JSON) and answers each. Standard library only,
as little of it as possible, for it is started often and must be small. It may hang for as long as the
share does: whoever asked has left by then and has sent SIGKILL, which keeps the steps that were still
to come from being done late.

Nothing here decides anything; every step can be repeated, and where NFS may lose a reply the file is
read back. Links are never followed in the last part of a path.
"""

# pathlib and contextlib would cost this process a tenth of its memory
# ruff: noqa: PTH101, PTH102, PTH103, PTH104, PTH108, PTH115, PTH116, PTH120, PTH208, PTH211, SIM105
from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # the module typing would cost half a megabyte
    from typing import Any

    Step = dict[str, Any]

SOCKET = 3
RENAME_NOREPLACE = 1
AT_FDCWD = -100
READ_BACK = 1 << 20


class Scribe:
    def __init__(self, root: str, mark: str) -> None:
        self.root = root
        self.mark = mark
        self.count = 0
        self.tag = os.urandom(4).hex()  # processes of one number exist on several hosts

    def perform(self, request: dict[str, Any]) -> dict[str, Any]:
        """Steps in order up to the first that fails; then where, and the errno."""
        answers: list[Any] = []
        establish = request.get("establish")
        try:
            if establish is not None:
                self.establish(establish)
            os.stat(f"{self.root}/{self.mark}")
        except OSError as error:
            return {"answers": answers, "failed": failure("mark", self.mark, error), "step": -1}
        for number, step in enumerate(request["steps"]):
            try:
                answer = getattr(self, "do_" + step["op"])(step)
            except OSError as error:
                return {
                    "answers": answers,
                    "failed": failure(step["op"], step.get("path", ""), error),
                    "step": number,
                }
            answers.append(answer)
            if answer is False:  # `unless` found what must not be there
                break
        return {"answers": answers}

    def establish(self, text: str) -> None:
        """Make the mark of a new share; refused where other files are."""
        os.makedirs(self.root, mode=0o755, exist_ok=True)
        found = os.listdir(self.root)
        if self.mark in found:
            return
        if [name for name in found if name not in ("lost+found", ".snapshot")]:
            raise OSError(errno.ENOTEMPTY, "there are other files in it")
        try:
            self.write_new(f"{self.root}/{self.mark}", encoded(text), 0o644, True)
        except FileExistsError:
            pass  # another process was quicker

    def at(self, path: str) -> str:
        parts = path.split("/")
        if not path or path[0] == "/" or ".." in parts or "" in parts:
            raise OSError(errno.EINVAL, "not a path below the share's root")
        return f"{self.root}/{path}"

    def aside(self, path: str) -> str:
        self.count += 1
        folder, _, name = path.rpartition("/")
        return f"{folder}/.{name[:180]}.{self.tag}-{self.count}.tmp"

    def do_unless(self, step: Step) -> bool:
        """Stop here if the name is in its directory (listed: a missing name is cached by NFS for long)."""
        folder, _, name = self.at(step["path"]).rpartition("/")
        try:
            return name not in os.listdir(folder)
        except FileNotFoundError:
            return True

    def do_mkdir(self, step: Step) -> bool:
        path, mode = self.at(step["path"]), step["mode"]
        try:
            os.mkdir(path, mode)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            try:
                os.mkdir(path, mode)
            except FileExistsError:
                return True
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(path).st_mode):
                raise
            return True
        if mode & ~0o755:  # the umask must not take away what was asked for
            os.chmod(path, mode)
        return True

    def do_write(self, step: Step) -> bool:
        """Replace whole: readers see the old content or the new."""
        path = self.at(step["path"])
        aside = self.aside(path)
        try:
            self.write_new(aside, encoded(step["data"]), step["mode"], step["sync"])
            os.rename(aside, path)
        except OSError:
            forget(aside)
            raise
        return True

    def do_create(self, step: Step) -> bool:
        """Make the file unless it is there; never touches one that is."""
        try:
            self.write_new(self.at(step["path"]), encoded(step["data"]), step["mode"], False)
        except FileExistsError:
            return True
        return True

    def do_publish(self, step: Step) -> dict[str, Any]:
        """Once and whole, by link(2). On EEXIST what is there is read back and decides: NFS may call its
        own winner a loser."""
        path, data = self.at(step["path"]), encoded(step["data"])
        aside = self.aside(path)
        try:
            self.write_new(aside, data, step["mode"], True)
            try:
                os.link(aside, path)
            except FileExistsError:
                pass
        finally:
            forget(aside)
        found = read(path)
        if step["sync"]:
            sync_folder(os.path.dirname(path))
        return {"made": found == data, "data": decoded(found)}

    def do_raise(self, step: Step) -> str:
        """Rewrite in place, but only upwards in the order of words: a late, weaker word changes nothing."""
        order: list[str] = step["order"]
        word: str = step["word"]
        fd = os.open(self.at(step["path"]), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            found = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
            if found in order and order.index(found) >= order.index(word):
                return found
            data = word.encode() + b"\n"
            os.pwrite(fd, data, 0)
            os.ftruncate(fd, len(data))
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return word

    def do_append(self, step: Step) -> bool:
        fd = os.open(
            self.at(step["path"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644
        )
        try:
            write_all(fd, encoded(step["data"]))
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return True

    def do_put(self, step: Step) -> bool:
        fd = os.open(self.at(step["path"]), os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            os.lseek(fd, step["offset"], os.SEEK_SET)
            write_all(fd, encoded(step["data"]))
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return True

    def do_symlink(self, step: Step) -> bool:
        path = self.at(step["path"])
        try:
            os.symlink(step["target"], path)
            return True
        except FileExistsError:
            pass
        if stat.S_ISLNK(os.lstat(path).st_mode):
            if os.readlink(path) == step["target"]:
                return True
        elif not step["replace"]:
            return True  # the directory itself is there: what the link would have led to
        if not step["replace"]:
            raise OSError(errno.EEXIST, "there is another link of this name")
        aside = self.aside(path)
        os.symlink(step["target"], aside)
        try:
            os.rename(aside, path)
        except OSError:
            forget(aside)
            raise
        return True

    def do_rename(self, step: Step) -> dict[str, Any]:
        """Never over something that is there: then {"made": False}, and the source stays. Not synced: a rename
        lost with the power is found missing, and done again."""
        source, target = self.at(step["path"]), self.at(step["target"])
        try:
            os.lstat(source)
        except FileNotFoundError:
            if os.path.lexists(target):
                return {"made": False}
            raise
        call = ctypes.CDLL(None, use_errno=True).renameat2
        if call(AT_FDCWD, os.fsencode(source), AT_FDCWD, os.fsencode(target), RENAME_NOREPLACE) == 0:
            made = True
        elif ctypes.get_errno() == errno.EEXIST:
            made = False
        elif ctypes.get_errno() in (errno.EINVAL, errno.ENOSYS):
            made = self.rename_plainly(source, target)
        else:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        return {"made": made}

    def rename_plainly(self, source: str, target: str) -> bool:
        """Over NFS: rename(2) itself refuses a directory that is not empty; an empty one that appears
        between the look and the rename is a copy of the same source."""
        folder, _, name = target.rpartition("/")
        if name in os.listdir(folder):
            return False
        try:
            os.rename(source, target)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            if error.errno == errno.ENOENT and os.path.lexists(target):
                return True  # done, and the reply was lost
            raise
        return True

    def do_unlink(self, step: Step) -> bool:
        forget(self.at(step["path"]))
        return True

    def do_install(self, step: Step) -> bool:
        """A local file onto the share, whole and executable; one of the same size and content stays."""
        with open(step["source"], "rb") as file:
            data = file.read()
        path = self.at(step["path"])
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        try:
            with open(path, "rb") as file:
                if file.read() == data:
                    return True
        except FileNotFoundError:
            pass
        aside = self.aside(path)
        try:
            self.write_new(aside, data, 0o755, True)
            os.rename(aside, path)
        except OSError:
            forget(aside)
            raise
        sync_folder(os.path.dirname(path))
        return True

    @staticmethod
    def write_new(path: str, data: bytes, mode: int, sync: bool) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        try:
            if mode & ~0o755:
                os.fchmod(fd, mode)
            write_all(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)


def failure(op: str, path: str, error: OSError) -> dict[str, Any]:
    return {"op": op, "path": path, "errno": error.errno or 0, "text": error.strerror or str(error)}


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = b""
        while part := os.read(fd, READ_BACK):
            found += part
        return found
    finally:
        os.close(fd)


def write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def forget(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def exactly(count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = os.read(SOCKET, count - len(parts))
        if not part:
            os._exit(0)  # whoever asked is gone
        parts += part
    return parts


def main() -> None:
    scribe = Scribe(sys.argv[1], sys.argv[2])
    os.umask(0o022)
    while True:
        request = json.loads(exactly(int.from_bytes(exactly(4), "big")))
        answer = json.dumps(scribe.perform(request)).encode()
        write_all(SOCKET, len(answer).to_bytes(4, "big") + answer)


if __name__ == "__main__":
    main()
