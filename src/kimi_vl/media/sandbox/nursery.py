"""The parent's hold on the nursery: starts it, asks it for workers, ends them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kimi_vl.media.sandbox.limits import READERS
from kimi_vl.media.sandbox.slab import mapped, new_slab
from kimi_vl.media.sandbox.wire import Channel, ProtocolError, Tag

START_S = 30.0  # importing the decoders takes 0.2 s on an idle machine and 2 s on a loaded one
ANSWER_S = 30.0  # a fork takes milliseconds; the first video or document waits for its decoder to be imported

PROGRAM = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from kimi_vl.media.sandbox.inside.nursery import main; main(int(sys.argv[2]), sys.argv[3])"
)
# All that the child sees of the environment: no secrets, and one thread for libraries that would start as many as there are cores.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2"}
# Up to 64 MiB stay with a worker between files. malloc would return them each time, and 3,400 page faults for a megapixel took longer
# than decoding.
ENVIRONMENT |= {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(64 << 20)}


def package_paths() -> str:
    """The parent's own paths, without the working folder, as JSON: the same decoders, whatever PYTHONPATH and site hooks would say."""
    own = str(Path(__file__).parents[3])
    return json.dumps([own, *(path for path in sys.path if os.path.isabs(path) and path != own)])


class NurseryGone(Exception):
    """The nursery has died, or does not answer; the message says why it never began, where it says anything."""


@dataclass(frozen=True, slots=True)
class Death:
    """How a worker ended: the signal that killed it or 0, its exit code, and the most memory it held."""

    signal: int
    exit_code: int
    max_rss_bytes: int


class Nursery:
    """One nursery process. Threads may ask at the same time; they are answered one after another."""

    def __init__(self) -> None:
        if not hasattr(os, "fork"):
            raise NurseryGone("decoding needs fork(), which this system lacks; Linux and macOS have it")
        self._lock = threading.Lock()
        self._is_ready = False
        ours, theirs = socket.socketpair()
        self._control = Channel(ours)
        with theirs:
            command = [sys.executable, "-I", "-S", "-c", PROGRAM, package_paths(), str(theirs.fileno()), READERS["picture"].where]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=ENVIRONMENT,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # Ctrl-C in the terminal reaches the parent alone
            )

    def fork(self, where: str) -> tuple[int, Channel, list[str]]:
        """A worker for the reader `where`: its number, the channel to it, and which protections hold.

        Raises: NurseryGone; RuntimeError with the reason for a reader that cannot be loaded.
        """
        ours, theirs = socket.socketpair()
        slab = new_slab()
        channel = Channel(ours, mapped(os.dup(slab)))
        try:
            with theirs:
                reply = self._ask({"do": "fork", "reader": where}, (theirs.fileno(), slab))
            if reply.get("error"):
                raise RuntimeError(reply["error"])
            _, ready = channel.receive(deadline=time.monotonic() + ANSWER_S)
        except (EOFError, TimeoutError, ProtocolError) as error:
            channel.close()
            raise NurseryGone("a decoder process died while it was being confined") from error
        except BaseException:
            channel.close()
            raise
        finally:
            os.close(slab)
        return reply["pid"], channel, list(ready.facts["protections"])

    def end(self, pid: int) -> Death:
        """Kill a worker if it still runs. Raises: NurseryGone."""
        reply = self._ask({"do": "end", "pid": pid})
        status = reply["status"]
        code = os.waitstatus_to_exitcode(status)
        return Death(signal=max(0, -code), exit_code=max(0, code), max_rss_bytes=reply["max_rss_kib"] * 1024)

    def close(self) -> None:
        """Hang up, which ends the nursery and its workers, and wait for it."""
        self._control.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def abandon(self) -> None:
        """In a forked copy of this process: let go of what belongs to the original."""
        self._control.close()
        self._process.returncode = 0  # it is no child of this process, so nobody here need wait for it

    def _ask(self, question: dict[str, Any], fds: tuple[int, ...] = ()) -> dict[str, Any]:
        with self._lock:
            try:
                if not self._is_ready:
                    self._control.receive(deadline=time.monotonic() + START_S)
                    self._is_ready = True
                self._control.send(Tag.ASK, question, fds=fds)
                _, reply = self._control.receive(deadline=time.monotonic() + ANSWER_S)
            except (OSError, EOFError, ProtocolError) as error:
                self._control.close()
                raise NurseryGone(f"the process that starts decoders has ended (exit code {self._process.poll()})") from error
            except BaseException:  # Ctrl-C between question and answer: the next answer would be the wrong one
                self._control.close()
                raise
            return reply.facts
