"""`kimi-vl serve` with nano in a process of its own, as the programs beside this one measure it, and a client that does next to nothing."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Server:
    """A running server. As a context: it is killed at the end, unless it was stopped."""

    def __init__(self, *arguments: str, threads: int) -> None:
        command = [sys.executable, "-m", "kimi_vl.cli.main", "serve", "--port", "0", *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment)
        assert self.process.stderr is not None
        lines = list[str]()
        for line in self.process.stderr:
            lines.append(line)
            if line.startswith("{") and (record := json.loads(line))["event"] == "listening":
                self.port = int(record["port"])
                break
        else:
            raise SystemExit(f"the server did not start: {''.join(lines)[-300:]}")
        self.faults = list[Any]()  # what the log says of them
        self._reading = threading.Thread(target=self._read, daemon=True)  # always, so that the server never waits for us
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if not line.startswith("{"):
                self.faults.append(line)
            elif (record := json.loads(line))["level"] in ("error", "critical"):
                self.faults.append(record)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """Drain; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(60)
        self._reading.join()
        return code

    def files(self) -> Counter[str]:
        """Open files, by kind."""
        found = Counter[str]()
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):
                found[os.readlink(path).partition(":")[0]] += 1
        return found

    def processes(self) -> int:
        """Those that it started, and those that they started."""
        found, left = 0, [self.process.pid]
        while left:
            for task in Path(f"/proc/{left.pop()}/task").glob("*"):
                with suppress(OSError):
                    children = [int(number) for number in (task / "children").read_text().split()]
                    found, left = found + len(children), left + children
        return found

    def memory_mib(self) -> int:
        """Resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) // 1024

    async def metrics(self) -> dict[str, float]:
        """What /metrics says, by name and labels."""
        text = (await fetch(self.port, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")).body.decode()
        pairs = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
        return {name: float(number) for name, _, number in pairs}


class Response(NamedTuple):
    """What came back."""

    status: int
    body: bytes


def post(path: str, body: bytes, *, kind: str = "application/json", closes: bool = True) -> bytes:
    """A request as it is written."""
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, *(["Connection: close"] if closes else []), "", ""]).encode() + body


async def fetch(port: int, request: bytes, *, leaves_s: float | None = None, leaves_at_once: bool = False) -> Response:
    """Over a connection of its own. `leaves_s`: go away after so many seconds; `leaves_at_once`: or when something comes.

    Raises: TimeoutError for whoever went away.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(leaves_s):
            data = await reader.read(1)
            if leaves_at_once:
                raise TimeoutError
            data += await reader.read()
    except TimeoutError:
        writer.transport.abort()
        raise
    finally:
        writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    return Response(int(head[9:12]), _joined(body) if b"transfer-encoding: chunked" in head.lower() else body)


def _joined(body: bytes) -> bytes:
    """A body without the marks of its chunks. Raises: ValueError for one that was cut off."""
    parts = []
    while True:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        parts.append(body[:length])
        body = body[length + 2 :]


def machine() -> dict[str, Any]:
    """Where this is measured, and how busy it is at the moment."""
    models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "machine": f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }
