"""The parent's workers: a few confined processes, lent to one read at a time."""

from __future__ import annotations

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kimi_vl.errors import EngineBusy, MediaError
from kimi_vl.media.sandbox.nursery import Death, Nursery, NurseryGone
from kimi_vl.media.sandbox.wire import Channel

JOBS_PER_WORKER = 64  # then a fresh one: whatever a decoder leaks or a file has done to it does not stay
STANDSTILL_S = 30.0  # so long all workers wait for callers who do not take their next part


@dataclass(eq=False, slots=True)
class Worker:
    """One process, the channel to it, and what it has done. `death` is known once it has been ended."""

    pid: int
    channel: Channel
    reader: str
    protections: list[str]
    nursery: Nursery
    jobs: int = 0
    death: Death | None = None

    def is_alive(self) -> bool:
        """False once it has hung up: an idle worker has nothing to say."""
        poll = select.poll()
        poll.register(self.channel.sock, select.POLLIN)
        return not poll.poll(0)

    def end(self) -> Death:
        """Stop it, whatever it does, and say how it ended; nothing new where that is known already."""
        if self.death is None:
            try:
                self.death = self.nursery.end(self.pid)
            except NurseryGone:  # its workers die with it
                self.death = Death(signal=0, exit_code=1, max_rss_bytes=0)
            finally:
                self.channel.close()
        return self.death


class Pool:
    """At most `size` workers at once; who comes later waits. Safe to use from many threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._turn = threading.Condition()
        self._idle: list[Worker] = []
        self._lent: set[Worker] = set()
        self._num_taken = 0  # turns, each with a worker or about to have one
        self._num_paused = 0  # of these, whose caller has a part and has not asked for the next
        self._starting = threading.Lock()
        self._nursery: Nursery | None = None
        self._is_abandoned = False

    def start(self) -> Nursery:
        """The nursery, begun but not waited for. Raises: NurseryGone where there can be none."""
        with self._starting:
            if self._nursery is None:
                self._nursery = Nursery()
            return self._nursery

    def lend(self, reader: str) -> Worker:
        """An idle worker for this reader, or a new one, once it is our turn.

        Raises: MediaError where decoding is impossible here; EngineBusy where waiting for a turn would never end.
        """
        with self._turn:
            while self._num_taken >= self.size:
                if not self._turn.wait(STANDSTILL_S) and self._num_paused >= self._num_taken:
                    raise EngineBusy(
                        f"all {self.size} decoders wait for whoever reads from them; take their next parts, or close those iterators first"
                    )
            self._num_taken += 1
        try:
            worker = self._idle_worker(reader) or self._new_worker(reader)
        except BaseException:
            with self._turn:
                self._num_taken -= 1
                self._turn.notify()
            raise
        with self._turn:
            self._lent.add(worker)
        return worker

    def give_back(self, worker: Worker, *, reusable: bool) -> None:
        """End the loan. A worker that is not reusable, or has done its share, is ended."""
        if self._is_abandoned:
            return
        stays = reusable and worker.jobs < JOBS_PER_WORKER
        if not stays:
            worker.end()
        with self._turn:
            self._lent.discard(worker)
            if stays:
                self._idle.append(worker)
            surplus = [self._idle.pop(0) for _ in range(len(self._idle) - self.size)]
            self._num_taken -= 1
            self._turn.notify()
        for old in surplus:
            old.end()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While the caller has a part and thinks about it."""
        with self._turn:
            self._num_paused += 1
        try:
            yield
        finally:
            if not self._is_abandoned:
                with self._turn:
                    self._num_paused -= 1

    def close(self) -> None:
        """End all workers and the nursery. What is being read ends with an error."""
        with self._starting:
            if self._nursery is not None:
                self._nursery.close()
            self._nursery = None
        with self._turn:
            for worker in self._idle:
                worker.channel.close()
            self._idle.clear()

    def abandon(self) -> None:
        """In a forked copy of this process: let go of what belongs to the original, which goes on with it. Takes no lock."""
        self._is_abandoned = True
        for worker in (*self._idle, *self._lent):
            worker.channel.close()
        if self._nursery is not None:
            self._nursery.abandon()

    def _idle_worker(self, reader: str) -> Worker | None:
        while True:
            with self._turn:
                fitting = [worker for worker in self._idle if worker.reader == reader]
                if not fitting:
                    return None
                worker = fitting[-1]  # its memory is the likeliest to be in the caches
                self._idle.remove(worker)
            if worker.is_alive():
                return worker
            worker.end()

    def _new_worker(self, reader: str) -> Worker:
        """A nursery that has died is replaced once."""
        failure = None
        for _ in range(2):
            nursery = None
            try:
                nursery = self.start()
                pid, channel, protections = nursery.fork(reader)
                return Worker(pid, channel, reader, protections, nursery)
            except NurseryGone as error:
                failure = error
                self._lose(nursery)
            except RuntimeError as error:
                raise MediaError(f"the reader {reader} cannot be loaded: {error}", "media_decoder_crashed") from None
        raise MediaError(f"files cannot be decoded here: {failure}", "media_decoder_crashed") from failure

    def _lose(self, nursery: Nursery | None) -> None:
        """Forget a nursery that has died, with its idle workers, which died with it."""
        with self._starting:
            if nursery is None or self._nursery is not nursery:  # another thread has done so
                return
            self._nursery = None
        nursery.close()
        with self._turn:
            dead = [worker for worker in self._idle if worker.nursery is nursery]
            self._idle = [worker for worker in self._idle if worker.nursery is not nursery]
        for worker in dead:
            worker.channel.close()
