"""The system calls that a worker may make, as a filter that the kernel runs before each (Linux, x86-64 and aarch64).

It is a list of what is allowed, made from what Pillow, FFmpeg and PDFium do on memory and open descriptors; everything else fails with
EPERM: sockets, opening and executing files, processes, tracing, other processes' signals, io_uring, namespaces, and whatever a future
kernel adds.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

# linux/audit.h and the tables of syscall numbers (asm/unistd_64.h, asm-generic/unistd.h). A name missing on aarch64 has no such call there.
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
X32_CALLS = 0x40000000  # x86-64 with 32-bit pointers: the same calls under other numbers

CALLS = {
    #  name: (x86-64, aarch64), the frequent ones first, because the filter is read from the top
    "read": (0, 63), "recvfrom": (45, 207), "sendto": (44, 206), "futex": (202, 98), "munmap": (11, 215), "brk": (12, 214),
    "madvise": (28, 233), "mremap": (25, 216), "lseek": (8, 62), "pread64": (17, 67), "write": (1, 64), "readv": (19, 65),
    "writev": (20, 66), "recvmsg": (47, 212), "sendmsg": (46, 211), "poll": (7, None), "ppoll": (271, 73), "select": (23, None),
    "pselect6": (270, 72), "close": (3, 57), "fstat": (5, 80), "dup": (32, 23), "fadvise64": (221, 223), "clock_gettime": (228, 113),
    "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "nanosleep": (35, 101), "gettimeofday": (96, 169),
    "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173),
    "getrlimit": (97, 163), "getrusage": (98, 165), "times": (100, 153), "getrandom": (318, 278), "membarrier": (324, 283),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "restart_syscall": (219, 128), "set_robust_list": (273, 99), "rseq": (334, 293), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip

# Allowed with some arguments only: (number of the argument, how it is tested, values).
EQUAL, HAS_BIT, LACKS_BIT = "equal", "has bit", "lacks bit"
CLONE_THREAD, PROT_EXEC, AT_EMPTY_PATH, PR_SET_NAME = 0x10000, 4, 0x1000, 15
FCNTL = (0, 1, 2, 3, 4, 1030)  # F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC; not F_SETOWN, which sends signals
GUARDED = {
    "mmap": ((9, 222), 2, LACKS_BIT, (PROT_EXEC,)),
    "mprotect": ((10, 226), 2, LACKS_BIT, (PROT_EXEC,)),
    "clone": ((56, 220), 0, HAS_BIT, (CLONE_THREAD,)),  # threads of FFmpeg, no processes
    "newfstatat": ((262, 79), 3, HAS_BIT, (AT_EMPTY_PATH,)),  # glibc's fstat
    "fcntl": ((72, 25), 1, EQUAL, FCNTL),
    "prctl": ((157, 167), 0, EQUAL, (PR_SET_NAME,)),
    "prlimit64": ((302, 261), 0, EQUAL, (0,)),  # its own, downwards
}
TGKILL, CLONE3 = (234, 131), (435, 435)

LOAD, EQ, GE, SET, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # linux/bpf_common.h: classic BPF
ALLOW, KILL = 0x7FFF0000, 0x80000000
DENY, MISSING = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2


def _step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _rule(call: int, verdict: list[bytes]) -> list[bytes]:
    """`verdict` for this call, on to the next rule for others."""
    return [_step(EQ, call, 0, len(verdict)), *verdict]


def _argument(number: int, test: str, values: tuple[int, ...]) -> list[bytes]:
    """Allow by the lower half of an argument (little-endian, as both architectures are); nothing here needs the upper one."""
    steps = [_step(LOAD, 16 + 8 * number)]
    if test == LACKS_BIT:
        return [*steps, _step(SET, values[0], 0, 1), _step(RETURN, DENY), _step(RETURN, ALLOW)]
    for value in values:
        steps += [_step(EQ if test == EQUAL else SET, value, 0, 1), _step(RETURN, ALLOW)]
    return [*steps, _step(RETURN, DENY)]


def program(machine: str, pid: int) -> bytes:
    """The filter for a process of that number, which may send signals to itself alone (that is how `abort` ends). Raises: KeyError."""
    column = list(ARCHITECTURES).index(machine)
    steps = [_step(LOAD, 4), _step(EQ, ARCHITECTURES[machine], 1, 0), _step(RETURN, KILL), _step(LOAD, 0)]
    if machine == "x86_64":
        steps += [_step(GE, X32_CALLS, 0, 1), _step(RETURN, KILL)]
    for numbers in CALLS.values():
        if (number := numbers[column]) is not None:
            steps += _rule(number, [_step(RETURN, ALLOW)])
    for numbers, argument, test, values in GUARDED.values():
        steps += _rule(numbers[column], _argument(argument, test, values))
    steps += _rule(TGKILL[column], _argument(0, EQUAL, (pid,)))
    # Its flags lie in memory, where no filter can read them; without it the C library uses clone.
    steps += _rule(CLONE3[column], [_step(RETURN, MISSING)])
    return b"".join([*steps, _step(RETURN, DENY)])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def restrict(libc: ctypes.CDLL) -> bool:
    """Put the filter on this thread and all that it starts, for good. False where the machine or the kernel has none."""
    if platform.machine() not in ARCHITECTURES:
        return False
    steps = program(platform.machine(), os.getpid())
    filter_ = _Program(len(steps) // 8, steps)
    return libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_), 0, 0) == 0
