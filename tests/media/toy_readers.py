"""Readers that misbehave, to be run inside (`test_sandbox.py` enters them into the table of readers)."""

import ctypes
import mmap
import os
import socket
import stat
import threading
import time

import numpy as np

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.parts import Part
from kimi_vl.media.sandbox.wire import HEAD, MARK, Tag


def echo(file, name, request):
    yield Part({"name": name, "request": request, "bytes": len(file.read()), "pid": os.getpid(), "environment": dict(os.environ)})


def frames(file, name, request):
    """`count` pictures of `side` pixels, each of its own colour."""
    for number in range(request["count"]):
        yield Part({"number": number}, np.full((request["side"], request["side"], 3), number % 256, np.uint8))


def gradient(file, name, request):
    """One picture of height × width in which no two rows are alike."""
    rows = np.arange(request["height"] * request["width"] * 3, dtype=np.uint32)
    yield Part({}, (rows * 2654435761 >> 24).astype(np.uint8).reshape(request["height"], request["width"], 3))


def images(file, name, request):
    """`count` of Pillow's pictures of `side` pixels, each of its own colour."""
    for part in frames(file, name, request):
        yield Part(part.facts, image=part.as_image())


def mixed(file, name, request):
    """A picture, facts alone, pixels, facts alone, a picture."""
    many = list(frames(file, name, {"count": 5, "side": 50}))
    yield Part({"number": 0}, image=many[0].as_image())
    yield Part({"number": 1})
    yield many[2]
    yield Part({"number": 3})
    yield Part({"number": 4}, image=many[4].as_image())


def image(file, name, request):
    """The same as Pillow's."""
    (part,) = gradient(file, name, request)
    yield Part({}, image=part.as_image())


def _mapping_that_runs():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def _call(number, *arguments):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


# Each of these must fail inside.
ATTEMPTS = {
    "internet socket": lambda file: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "datagram socket": lambda file: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
    "local socket": lambda file: socket.socketpair(),
    "read /etc/passwd": lambda file: os.open("/etc/passwd", os.O_RDONLY),
    "read itself": lambda file: os.open("/proc/self/maps", os.O_RDONLY),
    "list the root": lambda file: os.listdir("/"),
    "list the working folder": lambda file: os.listdir("."),
    "write a file": lambda file: os.open("x", os.O_WRONLY | os.O_CREAT),
    "write the input": lambda file: os.write(file.fileno(), b"x"),
    "lengthen the input": lambda file: os.ftruncate(file.fileno(), 1 << 20),
    "make a file in memory": lambda file: os.memfd_create("x"),
    "fork": lambda file: os.fork(),
    "execute": lambda file: os.execv("/bin/sh", ["sh", "-c", "true"]),
    "signal its parent": lambda file: os.kill(os.getppid(), 0),
    "signal its starter by descriptor": lambda file: os.pidfd_open(os.getppid()),
    "leave its group": lambda file: os.setsid(),
    "become root": lambda file: os.setuid(0),
    "change the root": lambda file: os.chroot("."),
    "raise a limit": lambda file: __import__("resource").setrlimit(8, (1 << 30, 1 << 30)),
    "memory that runs": lambda file: _mapping_that_runs(),
    "trace": lambda file: _call(101, 0, 0, 0, 0),
    "io_uring": lambda file: _call(425, 1, 0),
    "a namespace": lambda file: _call(272, 0x10000000),
    "many descriptors": lambda file: [os.dup(file.fileno()) for _ in range(64)],
}


def attempts(file, name, request):
    for what, attempt in ATTEMPTS.items():
        try:
            attempt(file)
        except (OSError, ValueError) as error:
            yield Part({"what": what, "refused": type(error).__name__, "errno": getattr(error, "errno", None)})
        else:
            yield Part({"what": what, "refused": ""})


def threads(file, name, request):
    """FFmpeg decodes with several."""
    done = []
    many = [threading.Thread(target=done.append, args=(k,)) for k in range(4)]
    for thread in many:
        thread.start()
    for thread in many:
        thread.join()
    yield Part({"done": sorted(done)})


def callbacks(file, name, request):
    """PDFium calls back into Python, and its texts are UTF-16; memory that runs and modules can no longer be had."""
    kept = [ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n, k=k: n + k) for k in range(request["count"])]
    yield Part({"sums": [call(1) for call in kept], "text": "ü".encode("utf-16-le").decode("utf-16-le")})


def memory_bomb(file, name, request):
    yield Part({"bytes": len(bytearray(request["bytes"]))})


def endless(file, name, request):
    while True:
        pass


def sleepy(file, name, request):
    yield Part({})
    time.sleep(30)


def crash(file, name, request):
    if request.get("after"):
        yield Part({})
    how = request["how"]
    if how == "segfault":
        ctypes.string_at(0)
    if how == "abort":
        os.abort()
    os._exit(7)
    yield


def refuse(file, name, request):
    errors = {"media": MediaError(request["text"], request.get("code", "invalid_media")), "input": InputError(request["text"])}
    raise errors.get(request["how"]) or KeyError(request["text"])
    yield


def _channel():
    return next(fd for fd in range(3, 16) if _is_socket(fd))


def _is_socket(fd):
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:
        return False


# What a worker that a file has taken over might say.
LIES = {
    "not our mark": HEAD.pack(b"EVIL", Tag.PART, 2, 0, 0, 0) + b"{}",
    "an unknown tag": HEAD.pack(MARK, 99, 2, 0, 0, 0) + b"{}",
    "a gigabyte of facts": HEAD.pack(MARK, Tag.PART, 1 << 30, 0, 0, 0),
    "a picture beyond the limit": HEAD.pack(MARK, Tag.PART, 2, 60_000, 60_000, 60_000 * 60_000 * 3) + b"{}",
    "bytes that do not fit the size": HEAD.pack(MARK, Tag.PART, 2, 10, 10, 1 << 40) + b"{}",
    "an image whose rows do not fit": HEAD.pack(MARK, Tag.PART, 2, 1, 5_000_000, 20_000_000) + b"{}",
    "an image without rows": HEAD.pack(MARK, Tag.PART, 2, 0, 0, 4) + b"{}",
    "facts that are no JSON": HEAD.pack(MARK, Tag.PART, 3, 0, 0, 0) + b"{x}",
    "facts that are a list": HEAD.pack(MARK, Tag.PART, 2, 0, 0, 0) + b"[]",
    "facts without end": HEAD.pack(MARK, Tag.PART, 100_000, 0, 0, 0) + b"[" * 100_000,
    "a pickle": b"\x80\x04\x95" + bytes(60),
}


def lie(file, name, request):
    os.write(_channel(), LIES[request["what"]])
    time.sleep(20)
    yield
