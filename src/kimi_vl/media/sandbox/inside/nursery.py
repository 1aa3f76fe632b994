"""The nursery: a small process with the decoders loaded, that forks workers. It never sees a file, so nothing hostile runs here.

Started as a program of its own rather than forked, because a process with CUDA or threads cannot be forked safely.
"""

from __future__ import annotations

import codecs
import ctypes
import gc
import os
import pkgutil
import signal
import socket
import sys
import tempfile
from importlib import import_module
from typing import Any

from kimi_vl.media.sandbox.inside import worker
from kimi_vl.media.sandbox.inside.confine import separate
from kimi_vl.media.sandbox.slab import mapped
from kimi_vl.media.sandbox.wire import Channel, Tag

ENCODINGS = "ascii utf-8 utf-16 utf-16-le utf-16-be utf-32 utf-32-le utf-32-be latin-1 cp1252 cp437 mac-roman unicode-escape".split()
LAZY_PACKAGES = {"av"}  # PyAV imports its subtitles when it decodes the first frame


def main(control_fd: int, first_reader: str) -> None:
    """Serve the parent at the other end of the socket until it hangs up or dies; no worker outlives that."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    control = Channel(socket.socket(fileno=control_fd))
    nursery = Nursery(control, separate())  # before numpy starts threads
    nursery.load(first_reader)
    control.send(Tag.READY, {})
    try:
        while True:
            fds: list[int] = []
            _, ask = control.receive(fds=fds)
            control.send(Tag.REPLY, nursery.reply(ask.facts, fds))
    except (EOFError, OSError):
        nursery.end()


def _empty_folder() -> int | None:
    """The descriptor of a folder that is deleted already, so that it stays empty; None where no folder can be made."""
    try:
        folder = tempfile.mkdtemp(prefix="kimi-vl-")
    except OSError:
        return None
    fd = os.open(folder, os.O_RDONLY)
    os.rmdir(folder)
    return fd


def _load_lazy_parts() -> None:
    """Import what would be imported on first use: a worker has no files to import from."""
    for encoding in ENCODINGS:
        codecs.lookup(encoding)
    for package in LAZY_PACKAGES & sys.modules.keys():
        for module in pkgutil.walk_packages(sys.modules[package].__path__, f"{package}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)


class Nursery:
    """The readers that are loaded and the workers that run."""

    def __init__(self, control: Channel, separated: list[str]) -> None:
        self._control, self._separated = control, separated
        self._readers: dict[str, worker.ReaderFunction] = {}
        self._workers: set[int] = set()
        self._empty = _empty_folder()
        # Inside, no memory can be made to run. PDFium's reader calls back into Python through a little piece of code, and finds room for
        # it in the page that the first such piece is given here.
        self._callback = ctypes.CFUNCTYPE(None)(list)

    def load(self, where: str) -> str:
        """Import the reader `module:function`; its text is empty, or says why that failed."""
        module, _, function = where.partition(":")
        try:
            self._readers[where] = getattr(import_module(module), function)
            _load_lazy_parts()
        except (ImportError, AttributeError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        gc.collect()
        gc.freeze()  # what is shared with the workers stays shared: the collector writes no marks on it
        return ""

    def reply(self, ask: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """Do what the parent asks: fork a worker on the socket it sent, or end one and say how it went."""
        if ask["do"] == "end":
            return self._end(ask["pid"])
        channel = Channel(socket.socket(fileno=fds[0]), mapped(fds[1]))
        try:
            error = "" if ask["reader"] in self._readers else self.load(ask["reader"])
            return {"error": error} if error else {"pid": self._fork(channel, self._readers[ask["reader"]])}
        except OSError as error:
            return {"error": f"no process can be started: {error.strerror}"}
        finally:
            channel.close()

    def _fork(self, channel: Channel, reader: worker.ReaderFunction) -> int:
        nursery = os.getpid()
        pid = os.fork()
        if pid:
            self._workers.add(pid)
            return pid
        try:
            self._control.close()
            worker.serve(channel, reader, nursery, self._empty, self._separated)
            os._exit(0)
        finally:  # whatever was raised, this process must not go on as a second nursery
            os._exit(1)

    def _end(self, pid: int) -> dict[str, Any]:
        """Kill the worker if it still runs, and tell its exit status and the most memory it held."""
        if pid not in self._workers:
            return {"status": 0, "max_rss_kib": 0}
        self._workers.discard(pid)
        os.kill(pid, signal.SIGKILL)
        _, status, usage = os.wait4(pid, 0)
        return {"status": status, "max_rss_kib": usage.ru_maxrss}

    def end(self) -> None:
        for pid in list(self._workers):
            self._end(pid)
