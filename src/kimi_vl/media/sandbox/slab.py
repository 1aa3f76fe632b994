"""A piece of memory that the parent and one worker both see. Pixels cross over in it: a picture of one megapixel costs two copies and one
wake-up, where a socket with its usual buffer would take fifteen.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import tempfile

SIZE = 16 << 20  # bytes, 5.6 megapixels; a larger picture crosses over in pieces


def new_slab() -> int:
    """The descriptor of a slab. It is sealed: were a worker able to shorten it, reading it would kill the parent (SIGBUS).

    Systems that have no such memory get a file without a name and go without the seal.
    """
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryFile() as file:
            file.truncate(SIZE)
            return os.dup(file.fileno())
    fd = os.memfd_create("kimi-vl pixels", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, SIZE)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


def mapped(fd: int) -> memoryview:
    """The slab of a descriptor, which is closed: the memory stays as long as the view."""
    try:
        return memoryview(mmap.mmap(fd, SIZE))
    finally:
        os.close(fd)
