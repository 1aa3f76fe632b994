"""A room for one program that needs files of the system, such as an office suite: no network, of the files only those named and only to be
read, an empty folder in memory to work in, its own processes, no privileges. Linux; where it cannot be had, nothing is run.

Started as a program of its own, like the nursery: it gives up what the caller has before it starts anything.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import signal
import stat
import struct
import sys
from dataclasses import asdict, dataclass
from typing import NoReturn, Self

from kimi_vl.media.sandbox.inside.confine import (
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWUSER,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    drop_capabilities,
)

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWPID = 0x20000, 0x04000000, 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, READ_ONLY_NOSUID_NODEV = 442, -100, 0x8000, 1 | 2 | 4
DEVICES = ("null", "zero", "random", "urandom")

NO_ROOM, NO_RESULT, TOO_LARGE = 97, 98, 99  # exit codes; below stand those of the program itself


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What is to be run, and on what: the input is `source_fd`, put as `given` into the folder /room; what the program leaves there as
    `wanted` is written to `result_fd`. `root` is an empty folder to build in, `shown` paths of the system, `environment` all of it.
    """

    command: list[str]
    environment: dict[str, str]
    shown: list[str]
    root: str
    source_fd: int
    given: str
    result_fd: int
    wanted: str
    cpu_seconds: int
    memory_bytes: int  # of address space, each process
    work_bytes: int  # all files in /room
    result_bytes: int
    files: dict[str, str]  # others to put there: names with folders, contents

    def as_json(self) -> str:
        """For the command line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Raises: TypeError, ValueError."""
        return cls(**json.loads(text))


def main(text: str) -> NoReturn:
    """Do what an order says, and end this process with the program's exit code or one of ours."""
    order = Order.from_json(text)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    try:
        _separate(libc)
        work = _furnish(libc, order)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        os._exit(NO_ROOM)
    with os.fdopen(work[0], "wb") as given, os.fdopen(order.source_fd, "rb") as source:
        shutil.copyfileobj(source, given)
    first = os.fork()  # the first process of the new kind: all others end with it
    if first == 0:
        _live(libc, order)
    status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    os._exit(_deliver(order, work[1]) if status == 0 else status if 0 < status <= NO_ROOM else 1)


def _check(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def _separate(libc: ctypes.CDLL) -> None:
    """New names for users, files, network, processes. Raises: OSError where the system does not allow it."""
    user, group = os.getuid(), os.getgid()
    _check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID), "namespaces")
    for name, line in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(line)
    _check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "mounts of one's own")


def _furnish(libc: ctypes.CDLL, order: Order) -> tuple[int, int]:
    """Build the new root, and give descriptors of the file that is to be written there and of the folder it is in. Raises: OSError."""
    root = order.root
    options = f"size={order.work_bytes},mode=755".encode()
    _check(libc.mount(b"room", root.encode(), b"tmpfs", MS_NOSUID | MS_NODEV, options), "a folder in memory")
    for path in (*order.shown, *(f"/dev/{name}" for name in DEVICES)):
        _show(libc, root, path)
    os.makedirs(f"{root}/room/tmp")
    os.symlink("room/tmp", f"{root}/tmp")
    for name, content in order.files.items():
        os.makedirs(os.path.dirname(f"{root}/room/{name}"), exist_ok=True)
        with open(f"{root}/room/{name}", "w", encoding="utf-8") as file:
            file.write(content)
    folder = os.open(f"{root}/room", os.O_RDONLY | os.O_DIRECTORY)
    return os.open(order.given, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder), folder


def _show(libc: ctypes.CDLL, root: str, path: str) -> None:
    """Make a path of the system visible below the new root, to be read only."""
    there = root + path
    if not os.path.lexists(path):
        return
    os.makedirs(os.path.dirname(there), exist_ok=True)
    if os.path.islink(path):
        os.symlink(os.readlink(path), there)
        return
    if os.path.isdir(path):
        os.makedirs(there, exist_ok=True)
    else:
        os.close(os.open(there, os.O_CREAT | os.O_WRONLY, 0o600))
    _check(libc.mount(path.encode(), there.encode(), None, MS_BIND | MS_REC, None), path)
    if path.startswith("/dev/"):  # a device on a mount without devices would be none
        return
    attributes = struct.pack("=QQQQ", READ_ONLY_NOSUID_NODEV, 0, 0, 0)
    arguments = (ctypes.c_long(MOUNT_SETATTR), ctypes.c_int(AT_FDCWD), ctypes.c_char_p(there.encode()), ctypes.c_uint(AT_RECURSIVE))
    _check(libc.syscall(*arguments, ctypes.c_char_p(attributes), ctypes.c_size_t(len(attributes))), f"{path}, to be read only")


def _live(libc: ctypes.CDLL, order: Order) -> NoReturn:
    """In the room: start the program, wait for it, end. Whatever it has started ends with this process."""
    code = NO_ROOM
    try:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _shut(libc, order)
        program = os.fork()
        if program == 0:
            os.closerange(3, 1024)
            os.execve(order.command[0], order.command, order.environment)
        ended, status = os.wait()
        while ended != program:  # one of its orphans
            ended, status = os.wait()
        code = os.waitstatus_to_exitcode(status)
        code = code if 0 <= code < NO_ROOM else 1
    except OSError as error:
        sys.stderr.write(f"{error}\n")
    finally:
        os._exit(code)


def _shut(libc: ctypes.CDLL, order: Order) -> None:
    """Go in, and give up what could lead out again. Raises: OSError."""
    os.mkdir(f"{order.root}/proc")
    _check(
        libc.mount(b"proc", f"{order.root}/proc".encode(), b"proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, None), "a list of its own processes"
    )
    os.chroot(order.root)
    os.chdir("/room")
    resource.setrlimit(resource.RLIMIT_CPU, (order.cpu_seconds, order.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (order.memory_bytes, order.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, 512))
    if not drop_capabilities(libc):
        raise OSError("privileges cannot be given up")
    _check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no new privileges")


def _deliver(order: Order, folder: int) -> int:
    """Copy out what was wanted; it must be a file, no link to one. The exit code."""
    try:
        fd = os.open(order.wanted, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return NO_RESULT
    facts = os.fstat(fd)
    if not stat.S_ISREG(facts.st_mode):
        return NO_RESULT
    if facts.st_size > order.result_bytes:
        return TOO_LARGE
    with os.fdopen(fd, "rb") as result, os.fdopen(order.result_fd, "wb") as out:
        shutil.copyfileobj(result, out)
    return 0
