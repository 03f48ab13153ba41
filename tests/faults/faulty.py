"""A FUSE file system that passes everything on to a directory, until told otherwise: it then hangs, is full, or
refuses writing, as a network file system does that is mounted hard. Nothing is cached, so that reads hang as well.

    python -m tests.faults.faulty BACKING POINT MODE_FILE

MODE_FILE holds one word: "" | stall | full | read_only. Killing this process ends every call that hangs.
The protocol is that of the kernel's include/uapi/linux/fuse.h; nodes are descriptors opened with O_PATH."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

LOOKUP, FORGET, GETATTR, SETATTR, READLINK, SYMLINK, MKNOD, MKDIR = 1, 2, 3, 4, 5, 6, 8, 9
UNLINK, RMDIR, RENAME, LINK, OPEN, READ, WRITE, STATFS, RELEASE = 10, 11, 12, 13, 14, 15, 16, 17, 18
FSYNC, INIT, OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, CREATE = 20, 26, 27, 28, 29, 30, 35
INTERRUPT, BATCH_FORGET, RENAME2 = 36, 42, 45
GROWS = {SYMLINK, MKNOD, MKDIR, LINK, WRITE, CREATE}
CHANGES = GROWS | {SETATTR, UNLINK, RMDIR, RENAME, RENAME2}
ATTR_MODE, ATTR_UID, ATTR_GID, ATTR_SIZE, ATTR_ATIME, ATTR_MTIME = 1, 2, 4, 8, 16, 32
ATTR_ATIME_NOW, ATTR_MTIME_NOW = 128, 256
HEADER = struct.Struct("<IIQQIIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Node:
    def __init__(self, fd: int, key: tuple[int, int]) -> None:
        self.fd = fd
        self.key = key
        self.known = 0  # how many answers named it


class Faulty:
    def __init__(self, backing: Path, mode: Path) -> None:
        self.mode_file = mode
        self.lock = threading.Lock()
        top = Node(os.open(backing, os.O_PATH), (0, 0))
        self.nodes: dict[int, Node] = {1: top}
        self.by_key: dict[tuple[int, int], int] = {}
        self.next = 2
        self.does: dict[int, Callable[[int, bytes], bytes]] = {
            LOOKUP: lambda n, b: self.entry(n, text(b)),
            GETATTR: lambda n, b: self.attributes(os.fstat(self.fd(n))),
            SETATTR: self.set_attributes,
            READLINK: lambda n, b: os.readlink(b"", dir_fd=self.fd(n)),
            SYMLINK: self.symlink,
            MKNOD: self.make_node,
            MKDIR: self.make_directory,
            UNLINK: lambda n, b: done(os.unlink(text(b), dir_fd=self.fd(n))),
            RMDIR: lambda n, b: done(os.rmdir(text(b), dir_fd=self.fd(n))),
            RENAME: lambda n, b: self.rename(n, struct.unpack_from("<Q", b)[0], 0, b[8:]),
            RENAME2: lambda n, b: self.rename(n, *struct.unpack_from("<QI", b), b[16:]),
            LINK: self.link,
            OPEN: self.open,
            OPENDIR: self.open,
            READ: self.read,
            WRITE: self.write,
            STATFS: self.space,
            RELEASE: lambda n, b: done(os.close(struct.unpack_from("<Q", b)[0])),
            RELEASEDIR: lambda n, b: done(os.close(struct.unpack_from("<Q", b)[0])),
            FSYNC: lambda n, b: done(os.fsync(struct.unpack_from("<Q", b)[0])),
            FSYNCDIR: lambda n, b: done(os.fsync(struct.unpack_from("<Q", b)[0])),
            # no FLUSH: who begins a process while the share stalls would wait for the close of a file there
            READDIR: self.list,
            CREATE: self.create,
        }

    def mode(self) -> str:
        return self.mode_file.read_text()

    def carry_out(self, op: int, node: int, body: bytes) -> bytes:
        """Raises OSError with what the kernel is to be told."""
        while (mode := self.mode()) == "stall":
            time.sleep(0.01)
        writing = op == OPEN and struct.unpack_from("<I", body)[0] & (os.O_WRONLY | os.O_RDWR)
        if mode == "read_only" and (op in CHANGES or writing):
            raise OSError(errno.EROFS, "")
        if mode == "full" and op in GROWS:
            raise OSError(errno.ENOSPC, "")
        if op not in self.does:
            raise OSError(errno.ENOSYS, "")
        return self.does[op](node, body)

    # --- nodes

    def fd(self, node: int) -> int:
        with self.lock:
            return self.nodes[node].fd

    def path(self, node: int) -> str:
        return f"/proc/self/fd/{self.fd(node)}"

    def entry(self, parent: int, name: bytes) -> bytes:
        fd = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self.fd(parent))
        found = os.fstat(fd)
        key = (found.st_dev, found.st_ino)
        with self.lock:
            number = self.by_key.get(key)
            if number is None:
                number = self.next
                self.next += 1
                self.nodes[number] = Node(fd, key)
                self.by_key[key] = number
            else:
                os.close(fd)
            self.nodes[number].known += 1
        return struct.pack("<QQQQII", number, 0, 0, 0, 0, 0) + packed(found)

    def forget(self, node: int, count: int) -> None:
        with self.lock:
            known = self.nodes.get(node)
            if known is None or node == 1:
                return
            known.known -= count
            if known.known <= 0:
                del self.nodes[node], self.by_key[known.key]
                os.close(known.fd)

    def forget_all(self, op: int, node: int, body: bytes) -> None:
        if op == FORGET:
            self.forget(node, struct.unpack_from("<Q", body)[0])
            return
        for number in range(struct.unpack_from("<I", body)[0]):
            self.forget(*struct.unpack_from("<QQ", body, 8 + 16 * number))

    # --- operations

    def attributes(self, found: os.stat_result) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + packed(found)

    def set_attributes(self, node: int, body: bytes) -> bytes:
        valid, _, _, size, _, atime, mtime, _, atime_ns, mtime_ns, _, mode, _, uid, gid, _ = struct.unpack_from(
            "<IIQQQQQQIIIIIIII", body
        )
        path = self.path(node)
        if valid & ATTR_MODE:
            os.chmod(path, stat.S_IMODE(mode))
        if valid & (ATTR_UID | ATTR_GID):
            os.chown(path, uid if valid & ATTR_UID else -1, gid if valid & ATTR_GID else -1)
        if valid & ATTR_SIZE:
            os.truncate(path, size)
        if valid & (ATTR_ATIME | ATTR_MTIME):
            now, found = time.time_ns(), os.stat(path)
            a = now if valid & ATTR_ATIME_NOW else atime * 10**9 + atime_ns
            m = now if valid & ATTR_MTIME_NOW else mtime * 10**9 + mtime_ns
            times = (a if valid & ATTR_ATIME else found.st_atime_ns, m if valid & ATTR_MTIME else found.st_mtime_ns)
            os.utime(path, ns=times)
        return self.attributes(os.stat(path))

    def symlink(self, node: int, body: bytes) -> bytes:
        name, target = body.split(b"\0")[:2]
        os.symlink(target, name, dir_fd=self.fd(node))
        return self.entry(node, name)

    def make_node(self, node: int, body: bytes) -> bytes:
        mode, device, _, _ = struct.unpack_from("<IIII", body)
        os.mknod(text(body[16:]), mode, device, dir_fd=self.fd(node))
        return self.entry(node, text(body[16:]))

    def make_directory(self, node: int, body: bytes) -> bytes:
        os.mkdir(text(body[8:]), struct.unpack_from("<I", body)[0], dir_fd=self.fd(node))
        return self.entry(node, text(body[8:]))

    def rename(self, node: int, into: int, flags: int, names: bytes) -> bytes:
        old, new = names.split(b"\0")[:2]
        if _libc.renameat2(self.fd(node), old, self.fd(into), new, flags) != 0:
            raise OSError(ctypes.get_errno(), "")
        return b""

    def link(self, node: int, body: bytes) -> bytes:
        source = self.path(struct.unpack_from("<Q", body)[0])
        os.link(source, text(body[8:]), dst_dir_fd=self.fd(node), follow_symlinks=True)
        return self.entry(node, text(body[8:]))

    def open(self, node: int, body: bytes) -> bytes:
        flags = struct.unpack_from("<I", body)[0] & ~(os.O_NOFOLLOW | os.O_CREAT | os.O_EXCL | os.O_APPEND)
        return struct.pack("<QIi", os.open(self.path(node), flags | os.O_CLOEXEC), 0, 0)

    def create(self, node: int, body: bytes) -> bytes:
        flags, mode, _, _ = struct.unpack_from("<IIII", body)
        name = text(body[16:])
        fd = os.open(name, (flags & ~os.O_APPEND) | os.O_CREAT | os.O_CLOEXEC, mode, dir_fd=self.fd(node))
        return self.entry(node, name) + struct.pack("<QIi", fd, 0, 0)

    def read(self, _: int, body: bytes) -> bytes:
        fh, offset, size = struct.unpack_from("<QQI", body)
        return os.pread(fh, size, offset)

    def write(self, _: int, body: bytes) -> bytes:
        fh, offset, size = struct.unpack_from("<QQI", body)
        return struct.pack("<II", os.pwrite(fh, body[40 : 40 + size], offset), 0)

    def list(self, _: int, body: bytes) -> bytes:
        fh, offset, size = struct.unpack_from("<QQI", body)
        parts = b""
        for number, name in enumerate([b".", b"..", *sorted(os.fsencode(n) for n in os.listdir(fh))]):
            if number < offset:
                continue
            part = struct.pack("<QQII", 1, number + 1, len(name), 0) + name
            part += b"\0" * (-len(part) % 8)
            if len(parts) + len(part) > size:
                break
            parts += part
        return parts

    def space(self, _: int, body: bytes) -> bytes:
        found = os.statvfs(self.path(1))
        free = 0 if self.mode() == "full" else found.f_bavail
        return struct.pack(
            "<QQQQQIIII24x",
            *(found.f_blocks, free, free, found.f_files, found.f_ffree, found.f_bsize, 255, found.f_frsize, 0),
        )


def done(_: None) -> bytes:
    return b""


def text(body: bytes) -> bytes:
    return body.split(b"\0", 1)[0]


def packed(found: os.stat_result) -> bytes:
    def parts(ns: int) -> tuple[int, int]:
        return ns // 10**9, ns % 10**9

    (a, an), (m, mn), (c, cn) = parts(found.st_atime_ns), parts(found.st_mtime_ns), parts(found.st_ctime_ns)
    return struct.pack(
        "<QQQQQQIIIIIIIIII", found.st_ino, found.st_size, found.st_blocks, a, m, c, an, mn, cn, found.st_mode,
        found.st_nlink, found.st_uid, found.st_gid, found.st_rdev, found.st_blksize, 0,
    )  # fmt: skip


def serve(backing: Path, point: Path, mode: Path) -> None:
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    os.umask(0)
    device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    if _libc.mount(b"winslow-test", os.fsencode(point), b"fuse.faulty", 6, options.encode()) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    faulty = Faulty(backing, mode)

    def answer(unique: int, error: int, data: bytes = b"") -> None:
        try:
            os.write(device, struct.pack("<IiQ", 16 + len(data), -error, unique) + data)
        except FileNotFoundError:
            return  # whoever asked was killed meanwhile

    def one(op: int, unique: int, node: int, body: bytes) -> None:
        try:
            data = faulty.carry_out(op, node, body)
        except OSError as error:
            answer(unique, error.errno or errno.EIO)
        except Exception as error:  # noqa: BLE001
            print(f"{op}: {error!r}", file=sys.stderr, flush=True)
            answer(unique, errno.EIO)
        else:
            answer(unique, 0, data)

    with ThreadPoolExecutor(256) as pool:
        for op, unique, node, body in requests(device):
            if op == INIT:
                flags = struct.unpack_from("<IIII", body)[3] & (1 << 5 | 1 << 3)  # big writes, O_TRUNC in open
                answer(unique, 0, struct.pack("<IIIIHHIIHHI28x", 7, 31, 1 << 17, flags, 64, 48, 1 << 17, 1, 32, 0, 0))
            elif op in (FORGET, BATCH_FORGET):
                faulty.forget_all(op, node, body)
            elif op != INTERRUPT:
                pool.submit(one, op, unique, node, body)


def requests(device: int) -> Iterator[tuple[int, int, int, bytes]]:
    """Operation, number, node, and what it is about."""
    while True:
        try:
            request = os.read(device, 1 << 20)
        except FileNotFoundError:
            continue  # taken back before it was read
        except OSError:
            os._exit(0)  # unmounted
        _, op, unique, node, *_ = HEADER.unpack_from(request)
        yield op, unique, node, request[HEADER.size :]


if __name__ == "__main__":
    serve(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
