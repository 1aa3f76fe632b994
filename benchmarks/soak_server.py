"""The server under load: many clients, some of whom leave in the middle, and ten times as many as it can answer.

    python benchmarks/soak_server.py --output benchmarks/results/soak.json

Soak: a pool of distinct requests of all kinds (`server_questions.py`) is asked one by one; then clients ask them in random order, whole and
streamed, with bad requests among them, and some leave at a random moment. Whoever stays must hear what was said alone, to the letter:
nano computes in fp32, greedily or with a seed, and the batch that a request happens to be in changes its logits by 1e-6. At the end nothing
may be held: pages, slots, open files, processes.

Overload: how many answers a second there are is measured with as many clients as there are places; then requests come at random moments,
ten times as many a second; then in bursts, ten times as many as there are places, over connections that are open already. What is measured
of a rejection is from the last byte of the request to its own last byte, by this process, whose own lateness is told beside it.

Exit code 1 if a target is missed. Both parts have a server of their own, in another process than the clients.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop
from server_process import Response, Server, fetch, machine, post
from server_questions import CHAT, Asked, Bad, bad, pool, refused_with, said

REJECTION_P99_MS = 50
HELD = ("requests_inside", "requests_waiting", "slots_taken", "engine_running", "engine_waiting", "cache_pages_held")
Plan = tuple[Asked | Bad, random.Random]


@dataclass
class Report:
    """What happened."""

    answered: Counter[str] = field(default_factory=Counter)  # by kind
    refused: Counter[str] = field(default_factory=Counter)
    asked: int = 0
    left: int = 0
    wrong: list[Any] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)  # of answers

    def check(self, request: Asked | Bad, streams: bool, response: Response, alone: Any) -> None:
        """Count what came back, and note it if it is not what was to come."""
        self.statuses[response.status] += 1
        try:
            if isinstance(request, Bad):
                self.refused[request.kind] += 1
                found: Any = [response.status, refused_with(response) if request.code else ""]
                alone = [request.status, request.code]
            else:
                self.answered[request.kind] += 1
                found = said(request, streams, response) if response.status == 200 else [response.status, response.body.decode()[:300]]
        except (ValueError, LookupError) as error:
            found = f"{error!r} in {response.body[-300:]!r}"
        if found != alone:
            self.wrong.append({"kind": request.kind, "streams": streams, "said": found, "alone": alone})


async def soak(args: argparse.Namespace) -> dict[str, Any]:
    """Raises: SystemExit for a server that cannot even answer one after another."""
    options = ("--max-running", str(args.max_running), "--set", f"waiting={4 * args.clients}", "--set", "queue_s=300")
    rng = random.Random(args.seed)
    requests = pool(rng, args.questions)
    with Server(*options, threads=args.threads) as server:
        alone = [await ask_alone(server, request) for request in requests]
        said_alone = dict(zip(requests, alone, strict=True))
        warm = Report()  # as many decoders and threads as there will be; what is there then is what may be there at the end
        await ask_all(server, [(request, random.Random(k)) for k, request in enumerate(requests)], args, said_alone, warm, 0)
        await at_rest(server)
        before, memory, began, report = held(server), [server.memory_mib()], time.monotonic(), Report()
        plans = [one_of(rng, requests, args.bad) for _ in range(args.requests)]
        patience = sorted(warm.seconds)[len(warm.seconds) // 2]
        for quarter in range(4):  # one after another only for the memory in between
            part = plans[quarter * len(plans) // 4 : (quarter + 1) * len(plans) // 4]
            await ask_all(server, part, args, said_alone, report, patience)
            memory.append(server.memory_mib())
        seconds = time.monotonic() - began
        behind = await at_rest(server, before)
        after = held(server)
        counted = await server.metrics()
        code = server.stop()
    own = sum(number for name, number in counted.items() if name.startswith("kimi_vl_requests_total") and 'status="5' in name)
    times = sorted(report.seconds)
    return {
        "requests": args.requests,
        "clients": args.clients,
        "seconds": round(seconds, 1),
        "answered": dict(report.answered),
        "refused_as_intended": dict(report.refused),
        "left": report.left,
        "cancelled_by_stage": {name.split('"')[1]: number for name, number in counted.items() if "requests_cancelled_total{" in name},
        "wrong": len(report.wrong) + len(warm.wrong),
        "first_wrong": (warm.wrong + report.wrong)[:3],
        "statuses": dict(report.statuses),
        "status_5xx": sum(count for status, count in report.statuses.items() if status >= 500) + int(own),
        "left_behind": behind,
        "at_start_and_end": [before, after],
        "memory_mib_by_quarter": memory,
        "answer_p50_p99_s": [round(times[int(p * len(times))], 2) for p in (0.5, 0.99)],
        "faults_logged": server.faults[:3],
        "exit_code": code,
    }


def one_of(rng: random.Random, requests: list[Asked], share_bad: float) -> Plan:
    """A request, and the chances of whoever sends it."""
    request = rng.choice(bad()) if rng.random() < share_bad else rng.choice(requests)
    return request, random.Random(rng.getrandbits(64))


async def ask_alone(server: Server, request: Asked) -> Any:
    """What it says when nobody else asks."""
    response = await fetch(server.port, request.written(False))
    if response.status != 200:
        raise SystemExit(f"a {request.kind} request alone: {response.status} {response.body[:300]!r}")
    return said(request, False, response)


async def ask_all(
    server: Server, plans: list[Plan], args: argparse.Namespace, alone: dict[Asked, Any], report: Report, patience: float
) -> None:
    """By so many clients, each of whom goes on to the next until there is none. Where there is patience (s), some have less of it: as many
    as it takes for the share of those who left, for others hear their answer sooner."""
    left = iter(plans)

    async def one() -> None:
        for request, chance in left:
            streams, leaves = chance.random() < 0.5, patience and report.left < args.leaving * report.asked
            report.asked += 1
            data = request.request if isinstance(request, Bad) else request.written(streams)
            began = time.monotonic()
            try:
                if leaves:  # or hear an answer that came sooner
                    response = await fetch(server.port, data, leaves_s=chance.random() * patience, leaves_at_once=chance.random() < 0.3)
                else:
                    response = await fetch(server.port, data)
            except TimeoutError:
                report.left += 1
                continue
            report.check(request, streams, response, None if isinstance(request, Bad) else alone[request])
            if response.status == 200:
                report.seconds.append(time.monotonic() - began)

    await asyncio.gather(*(one() for _ in range(args.clients)))


def held(server: Server) -> dict[str, int]:
    """Open files and processes."""
    return {"files": server.files().total(), "processes": server.processes()}


async def at_rest(server: Server, before: dict[str, int] | None = None) -> dict[str, float]:
    """What is held once nobody asks any more, and more files and processes than before, after at most ten seconds."""
    deadline = time.monotonic() + 10
    while True:
        found = await server.metrics()
        behind = {name: found[f"kimi_vl_{name}"] for name in HELD if found[f"kimi_vl_{name}"]}
        now = held(server)
        behind |= {name: now[name] - count for name, count in (before or {}).items() if now[name] > count}
        if not behind or time.monotonic() > deadline:
            return behind
        await asyncio.sleep(0.05)


class Probe(asyncio.Protocol):
    """One request of an overload, by hand, because a client that is slow itself would measure itself."""

    def __init__(self, request: bytes, at_once: bool) -> None:
        self._request, self._at_once = request, at_once
        self.done: asyncio.Future[tuple[int, float]] = asyncio.get_running_loop().create_future()
        self._got, self._total = b"", 0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        if self._at_once:
            self.fire()

    def fire(self) -> None:
        self._transport.write(self._request)
        self._sent = time.perf_counter()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._got += data
        head, end, _ = self._got.partition(b"\r\n\r\n")
        if end and not self._total:
            self._total = len(head) + 4 + int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        if self._total and len(self._got) >= self._total and not self.done.done():
            self.done.set_result((int(self._got[9:12]), now - self._sent))
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result((0, time.perf_counter() - self._sent))


async def probe(server: Server, request: bytes, at_once: bool = True) -> Probe:
    """With a connection of its own; it has sent its request, or waits for `fire`."""
    _, made = await asyncio.get_running_loop().create_connection(lambda: Probe(request, at_once), "127.0.0.1", server.port)
    return made


async def overload(args: argparse.Namespace) -> dict[str, Any]:
    """Ten times what can be answered, as a rate and at once."""
    places, rng = 2 * args.max_running, random.Random(args.seed)
    fields = {"model": "nano", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 24}
    request = post(CHAT, json.dumps(fields).encode(), closes=False)
    gc.freeze()
    gc.disable()  # a pause of this process is none of the server's
    with Server("--max-running", str(args.max_running), "--set", f"waiting={args.max_running}", threads=args.threads) as server:
        capacity = await most(server, request, places)
        lags: list[float] = []
        watching = asyncio.create_task(watch(lags))
        stream = await offered(server, request, 10 * capacity, args.overload_s, rng)
        bursts = [await burst(server, request, 10 * places) for _ in range(args.bursts)]
        watching.cancel()
        code = server.stop()
    statuses = Counter(status for found in (stream, *bursts) for status, _ in found)
    return {
        "places": places,
        "answers_per_s": round(capacity, 1),
        "offered_per_s": round(10 * capacity, 1),
        "offered": rejections(stream),
        "bursts_of": 10 * places,
        "bursts": rejections([one for found in bursts for one in found]),
        "bursts_each_p99_ms": [rejections(found)["p99_ms"] for found in bursts],
        "client_lag_ms": {"p50": milliseconds(lags, 0.5), "p99": milliseconds(lags, 0.99)},
        "statuses": dict(statuses),
        "faults_logged": server.faults[:3],
        "exit_code": code,
    }


async def most(server: Server, request: bytes, clients: int, seconds: float = 5.0) -> float:
    """Answers a second, for so many clients who each ask again."""
    began, answers = time.perf_counter(), 0

    async def one() -> None:
        nonlocal answers
        while time.perf_counter() - began < seconds:
            await (await probe(server, request)).done
            answers += 1

    await asyncio.gather(*(one() for _ in range(clients)))
    return answers / (time.perf_counter() - began)


async def offered(server: Server, request: bytes, rate: float, seconds: float, rng: random.Random) -> list[tuple[int, float]]:
    """Requests at random moments, so many a second, whatever becomes of those before: status and seconds of each."""
    tasks, began = list[asyncio.Task[tuple[int, float]]](), time.perf_counter()

    async def one() -> tuple[int, float]:
        return await (await probe(server, request)).done

    moment = began
    while moment < began + seconds:
        await asyncio.sleep(max(0.0, moment - time.perf_counter()))
        tasks.append(asyncio.create_task(one()))
        moment += rng.expovariate(rate)
    return list(await asyncio.gather(*tasks))


async def burst(server: Server, request: bytes, count: int) -> list[tuple[int, float]]:
    """So many at once, over connections that are open: status and seconds of each."""
    probes = [await probe(server, request, at_once=False) for _ in range(count)]
    await asyncio.sleep(0.5)  # until the server has taken them
    for one in probes:
        one.fire()
    return list(await asyncio.gather(*(one.done for one in probes)))


async def watch(lags: list[float], every: float = 0.002) -> None:
    """How much later than asked for this process comes to its turn (s)."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(every)
        lags.append(time.perf_counter() - began - every)


def rejections(found: list[tuple[int, float]]) -> dict[str, Any]:
    seconds = [seconds for status, seconds in found if status == 503]
    return {"rejected": len(seconds), **{f"p{p}_ms": milliseconds(seconds, p / 100) for p in (50, 90, 99, 100)}}


def milliseconds(seconds: list[float], share: float) -> float | None:
    """A quantile."""
    ordered = sorted(seconds)
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 2) if ordered else None


def missed(found: dict[str, Any]) -> list[str]:
    """The targets that a report misses."""
    misses = []
    if soaked := found.get("soak"):
        misses += [name for name in ("wrong", "status_5xx", "left_behind", "faults_logged", "exit_code") if soaked[name]]
    if flooded := found.get("overload"):
        misses += [f"overload {name}" for name in ("faults_logged", "exit_code") if flooded[name]]
        misses += [] if set(flooded["statuses"]) == {200, 503} else ["overload statuses"]
        late = [name for name in ("offered", "bursts") if not 0 < (flooded[name]["p99_ms"] or 0) <= REJECTION_P99_MS]
        misses += [f"rejections p99 ({name})" for name in late]
    return misses


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """The report."""
    busy = machine()
    found: dict[str, Any] = {}
    if args.only != "overload":
        found["soak"] = await soak(args)
    if args.only != "soak":
        found["overload"] = await overload(args)
    targets = {"wrong, left_behind, status_5xx": 0, "rejection_p99_ms": REJECTION_P99_MS}
    settings = {name: value for name, value in vars(args).items() if name != "output"}
    after = {"load_average_after": [round(value, 2) for value in os.getloadavg()]}
    return {"passed": not missed(found), "missed": missed(found), "targets": targets, **found, "settings": settings, **busy, **after}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=("soak", "overload"))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--leaving", type=float, default=0.2, help="share of those who leave in the middle")
    parser.add_argument("--bad", type=float, default=0.05, help="share of requests that are to be refused")
    parser.add_argument("--max-running", type=int, default=16)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="of the server's torch")
    parser.add_argument("--overload-s", type=float, default=15.0)
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    found = uvloop.run(run(args))
    text = json.dumps(found, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
