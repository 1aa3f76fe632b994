"""What a process gives up before it touches a file (RELIABILITY 4.2). Each protection that holds is named; one that the platform lacks is
not.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys

from kimi_vl.media.sandbox.inside import seccomp

CLONE_NEWUSER, CLONE_NEWNET, CLONE_NEWIPC = 0x10000000, 0x40000000, 0x08000000
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CAPABILITY_VERSION_3 = 0x20080522

MAX_DESCRIPTORS = 16
LIFETIME_CPU_S = 3600  # of a worker, whatever limits its jobs have
MAX_MEMORY = 16 << 30  # likewise


def separate() -> list[str]:
    """Move this process, and with it all that it forks, to a network without interfaces. It must have one thread only.

    The user namespace that this needs without privileges also makes it nobody outside.
    """
    if sys.platform != "linux":
        return []
    libc = ctypes.CDLL(None)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) == 0 or libc.unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0:
        return ["network"]
    return []


def confine(nursery: int, empty: int | None) -> list[str]:
    """Give up everything but the open descriptors, and name what is now kept away.

    `empty` is the descriptor of an empty folder, if there is one.
    """
    held = _limits()
    if sys.platform != "linux":
        return held
    libc = ctypes.CDLL(None)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
        held.append("orphans")
    if os.getppid() != nursery:  # it died before the line above
        os._exit(1)
    if empty is not None and _enter_as_root(empty):
        held.append("files")
    if drop_capabilities(libc):
        held.append("capabilities")
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held.append("privileges")
    if seccomp.restrict(libc):
        held.append("system calls")
    return held


def _limits() -> list[str]:
    """Limits that the kernel keeps; those of a single job are lower (`limit_job`)."""
    held = ["processor time", "file size", "descriptors", "core dumps"]
    resource.setrlimit(resource.RLIMIT_CPU, (LIFETIME_CPU_S, LIFETIME_CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_DESCRIPTORS, MAX_DESCRIPTORS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # elsewhere the kernel takes the number and does nothing with it
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
        held.append("memory")
    return held


def address_space() -> int:
    """Bytes of address space that this process takes; 0 where the system does not tell. Works before `confine` only."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def limit_job(cpu_seconds: int, memory_bytes: int, base_bytes: int) -> None:
    """Give the coming job so much processor time and address space. Above the first the kernel ends the process with SIGXCPU."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + cpu_seconds + 1
    resource.setrlimit(resource.RLIMIT_CPU, (min(seconds, LIFETIME_CPU_S), LIFETIME_CPU_S))
    if base_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (min(base_bytes + memory_bytes, MAX_MEMORY), MAX_MEMORY))


def _enter_as_root(empty: int) -> bool:
    """Make the empty folder the root: there is no path left to any file. Its descriptor is closed."""
    try:
        os.fchdir(empty)
        os.chroot(".")
        os.chdir("/")
    except OSError:
        return False
    finally:
        os.close(empty)
    return True


def drop_capabilities(libc: ctypes.CDLL) -> bool:
    """Give up all that a privileged process may do beyond others. False where the system refuses."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    return libc.capset(header, nothing) == 0
