"""Running the application: signals, draining, and the watchdog that ends a process whose engine cannot be trusted.

The first SIGTERM or SIGINT lets nobody in any more (503 draining, not ready) and waits for those inside, the second one does not wait:
what is still being written ends with an error event. A process whose engine has failed or hangs exits with 70, for a supervisor to start
it anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from types import FrameType
from typing import TypeVar

import structlog
import torch
import uvicorn
from fastapi import FastAPI

from kimi_vl.errors import InputError
from kimi_vl.server.service import Service
from kimi_vl.server.transport import connection

WATCH_S = 1.0
LAST_S = 4.0  # for what is left to be said once nobody waits any more
FAILED = 70
# How long the engine's thread may keep the interpreter from the event loop, at each of its system calls. Python's 5 ms, several times for
# each of a burst of requests, would make a client wait for a refusal that takes 0.1 ms.
SWITCH_S = 0.0001

Model = TypeVar("Model")

log = structlog.get_logger()


class Runner(uvicorn.Server):
    """One server in one process. `exit_code` is 0 after a drain, 70 after a failure of the engine."""

    def __init__(self, app: FastAPI) -> None:
        self.service: Service = app.state.service
        options = self.service.options
        self.exit_code = 0
        self._signals = 0
        self._ending: asyncio.Task[None] | None = None
        config = uvicorn.Config(
            app,
            host=options.host,
            port=options.port,
            http=connection(options, app.state.turn_away),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=int(options.keep_alive_s),
            timeout_graceful_shutdown=int(LAST_S),
        )
        super().__init__(config)

    @property
    def port(self) -> int:
        """That is listened on, once it has started."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        """As uvicorn's, and then the watchdog."""
        await super().startup(sockets)  # type: ignore[arg-type]
        log.info("listening", host=self.service.options.host, port=self.port, model=self.service.name)
        self._watching = asyncio.ensure_future(self._watch())

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ours, which are not raised once more at the end: a drain that went well is no failure."""
        loop = asyncio.get_running_loop()
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self.end)
        except (ValueError, RuntimeError, NotImplementedError):  # not the main thread: whoever runs it there ends it
            yield
            return
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """As uvicorn calls it."""
        self.end()

    def end(self) -> None:
        """Drain, then exit; called once more: do not wait."""
        self._signals += 1
        if self._ending is not None:
            self._ending.cancel()
        self._ending = asyncio.ensure_future(self._end(self.service.options.drain_s if self._signals == 1 else 0.0))

    async def _end(self, grace_s: float) -> None:
        log.info("draining", inside=self.service.admission.inside, grace_s=grace_s)
        if not await self.service.admission.drain(grace_s):
            # Streams end with an error event: the engine stops, and their clients hear of it.
            await self.service.model.close()
            await self.service.admission.drain(LAST_S)
        self.should_exit = True

    async def _watch(self) -> None:
        service = self.service
        while not self.should_exit:
            await asyncio.sleep(WATCH_S)
            hangs = service.model.step_s > service.options.step_s
            if service.model.failure is None and not hangs:
                continue
            log.critical("engine failed", hangs=hangs, error=type(service.model.failure).__name__)
            if hangs and sys.__stderr__ is not None:
                faulthandler.dump_traceback(sys.__stderr__, all_threads=True)  # places in the code, no values
            self.exit_code = FAILED
            self.should_exit = self.force_exit = True


def load(make: Callable[[], Model], threads: int | None = None) -> Model:
    """What `make` gives, made in a thread that is gone afterwards. Its engine computes on a CPU with so many threads (None: one less than
    torch takes by itself), everybody else in this process with one. Raises: what `make` raises.

    A thread that computes has a team of threads for as long as it lives, and libgomp counts those of all teams: when they are more than
    there are processors, a team sleeps between two operations where it would wait for a microsecond. With nano on two processors, and the
    team of a main thread that had loaded the weights and was idle, that was 3.5 answers a second; without that team 10; with one thread,
    which leaves a processor to the event loop and to clients, 12 to 14 (by a client of the day; `soak_server.py --only overload` has
    `answers_per_s`, and takes `--threads`).
    """
    made: Future[Model] = Future()

    def work() -> None:
        try:
            torch.set_num_threads(threads or max(1, torch.get_num_threads() - 1))
            made.set_result(make())
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            made.set_exception(error)

    thread = threading.Thread(target=work, name="load", daemon=True)
    thread.start()
    model = made.result()
    thread.join()
    torch.set_num_threads(1)  # of this thread, and of all that begin later
    return model


def run(app: FastAPI) -> int:
    """Serve until a signal comes; the exit code. Raises: InputError where the address cannot be listened on."""
    runner = Runner(app)
    sys.setswitchinterval(SWITCH_S)
    try:
        runner.run()
    except SystemExit:
        options = runner.service.options
        raise InputError(f"{options.host}:{options.port} cannot be listened on; another program may have that port") from None
    return runner.exit_code
