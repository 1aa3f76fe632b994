"""What the server costs beside calling the engine directly: throughput of many clients, and what one client waits longer.

    python benchmarks/bench_server.py --output benchmarks/results/server.json

nano on the CPU. Direct is `AsyncKimiVL` in this process; served is `kimi-vl serve` in one of its own, asked over connections that stay open
by a client that does no more than write and read HTTP, for whole answers and for streams. Each round asks the same questions in all three
ways, none of them twice, one way after another in an order that changes; a round's ratio is one observation, so that what else the
machine does, and how warm it is, falls out of the difference. One client alone asks each question directly and served, one right after
the other. Intervals are 95 %, by bootstrap over rounds (questions). Both engines have `--threads` threads for torch, one less than there
are cores, because a client needs one as well. `cpu_ms_per_answer` is what the process with the engine took; it depends less on what else
runs.

Targets: at most 3 % of the throughput of 64 clients, 3 ms of one client's wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import uvloop
from server_process import Server, machine, post
from server_questions import CHAT, WORDS

from kimi_vl.llm import AsyncKimiVL
from kimi_vl.processor.chat import Message, TextPart

TARGETS = {"throughput_lost": "<= 0.03", "p50_added_ms": "<= 3"}
Ask = Callable[[int, str, int], Awaitable[int]]  # (client, question, tokens) -> tokens of the answer


def question(rng: random.Random) -> str:
    """Some 50 tokens; no two begin alike."""
    facts = " ".join(f"The {rng.choice(WORDS)} number is {rng.randrange(1000, 9999)}." for _ in range(2))
    return f"{rng.randrange(10**9)}. {facts} Read the text."


def never(model: AsyncKimiVL) -> dict[int, float]:
    """The bias by which no answer ends early."""
    return dict.fromkeys(sorted(model.processor.tokenizer.end_ids), -100.0)


class Direct:
    """The engine, asked without a server."""

    def __init__(self, model: AsyncKimiVL) -> None:
        self.model, self.bias = model, tuple(never(model).items())

    async def ask(self, client: int, text: str, tokens: int) -> int:
        asked = self.model.question([Message("user", (TextPart(text),))], thinking="off")
        params = replace(self.model.defaults, max_tokens=tokens, temperature=0.0, logit_bias=self.bias)
        [answer] = await self.model.answer(asked, params)
        async for _ in answer:
            pass
        return answer.usage.completion_tokens

    def cpu_s(self) -> float:
        return time.process_time()


class Served:
    """The server, over connections that stay open."""

    def __init__(self, server: Server, model: AsyncKimiVL, streams: bool) -> None:
        self.server, self.streams = server, streams
        self.bias = {str(token): value for token, value in never(model).items()}
        self.open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def ask(self, client: int, text: str, tokens: int) -> int:
        if client not in self.open:
            self.open[client] = await asyncio.open_connection("127.0.0.1", self.server.port, limit=1 << 20)
        reader, writer = self.open[client]
        fields: dict[str, Any] = {"model": "nano", "messages": [{"role": "user", "content": text}], "max_tokens": tokens}
        fields |= {"temperature": 0, "thinking": "off", "logit_bias": self.bias}
        if self.streams:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        writer.write(post(CHAT, json.dumps(fields).encode(), closes=False))
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b" 200 " not in headers.split(b"\r\n")[0]:
            raise SystemExit(f"the server did not answer: {headers + await reader.read(300)!r}")
        if self.streams:
            answer = await reader.readuntil(b"\r\n0\r\n\r\n")
        else:
            answer = await reader.readexactly(int(headers.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        return int(answer.rpartition(b'"completion_tokens":')[2].split(b",")[0])

    def cpu_s(self) -> float:
        """Of the server, in user and system."""
        fields = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def throughput(way: Direct | Served, questions: list[str], clients: int, tokens: int) -> tuple[float, float, int]:
    """Of many clients, each asking one question after another: tokens a second, CPU time of an answer (s), tokens."""
    left, total = iter(questions), 0
    began, cpu = time.perf_counter(), way.cpu_s()

    async def one(client: int) -> None:
        nonlocal total
        for text in left:
            written = await way.ask(client, text, tokens)
            total += written  # not `+= await`, which adds to what the total was before

    await asyncio.gather(*(one(client) for client in range(clients)))
    return total / (time.perf_counter() - began), (way.cpu_s() - cpu) / len(questions), total


async def wait(ask: Ask, text: str) -> float:
    """Milliseconds until one client has an answer of one token."""
    began = time.perf_counter()
    await ask(0, text, 1)
    return 1000 * (time.perf_counter() - began)


def interval(values: Sequence[float], middle: Callable[..., Any] = np.median) -> list[float]:
    """Where the middle of such values lies, 95 %."""
    draws = np.random.default_rng(1).choice(np.asarray(values), (2000, len(values)))
    return [round(float(bound), 4) for bound in np.quantile(middle(draws, axis=1), (0.025, 0.975))]


async def many(ways: dict[str, Direct | Served], args: argparse.Namespace, rng: random.Random) -> dict[str, Any]:
    """Rounds of many clients."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(args.rounds):
        questions, counted = [question(rng) for _ in range(args.requests)], set()
        order = list(ways)[k % len(ways) :] + list(ways)[: k % len(ways)]
        for name in order if k // len(ways) % 2 else order[::-1]:
            rate, seconds, total = await throughput(ways[name], questions, args.clients, args.tokens)
            rates[name].append(rate)
            cpu[name].append(1000 * seconds)
            counted.add(total)
        if len(counted) > 1:
            raise SystemExit(f"the answers had {counted} tokens: the ways did not do the same work")
        print({name: round(values[-1], 1) for name, values in rates.items()}, file=sys.stderr, flush=True)
    found: dict[str, Any] = {"tokens_per_s": {name: round(statistics.median(values), 1) for name, values in rates.items()}}
    for name in ways.keys() - {"direct"}:
        lost = [1 - served / direct for direct, served in zip(rates["direct"], rates[name], strict=True)]
        found[f"throughput_lost_{name}"] = round(statistics.median(lost), 4)
        found[f"throughput_lost_{name}_interval"] = interval(lost)
        found[f"throughput_lost_{name}_by_round"] = [round(value, 4) for value in lost]
    return {**found, "cpu_ms_per_answer": {name: round(statistics.median(values), 2) for name, values in cpu.items()}}


async def alone(ways: dict[str, Direct | Served], args: argparse.Namespace, rng: random.Random) -> dict[str, Any]:
    """One client, question by question."""
    waited: dict[str, list[float]] = {name: [] for name in ways}
    for k in range(args.alone):
        text = question(rng)
        for name in list(ways)[:: 1 if k % 2 else -1]:
            waited[name].append(await wait(ways[name].ask, text))
    found: dict[str, Any] = {"p50_ms": {name: round(statistics.median(values), 2) for name, values in waited.items()}}
    for name in ways.keys() - {"direct"}:
        added = [served - direct for direct, served in zip(waited["direct"], waited[name], strict=True)]
        found[f"p50_added_ms_{name}"] = round(statistics.median(added), 2)
        found[f"p50_added_ms_{name}_interval"] = interval(added)
    return found


async def measure(args: argparse.Namespace, server: Server) -> dict[str, Any]:
    """Both parts, warm."""
    model = AsyncKimiVL.load(device="cpu", max_running=args.max_running)
    ways = {"direct": Direct(model), "whole": Served(server, model, False), "streamed": Served(server, model, True)}
    rng = random.Random(args.seed)
    for way in ways.values():
        await throughput(way, [question(random.Random(k)) for k in range(args.clients)], args.clients, 4)
    found = {**await alone(ways, args, rng), **await many(ways, args, rng)}
    await model.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=128, help="of a round, in each way")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--alone", type=int, default=150, help="questions of one client alone")
    parser.add_argument("--tokens", type=int, default=16, help="of each answer")
    parser.add_argument("--max-running", type=int, default=16)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    busy = machine()
    waiting = ("--set", f"waiting={4 * args.clients}", "--set", "queue_s=300", "--set", "keep_alive_s=600")
    with Server("--max-running", str(args.max_running), *waiting, threads=args.threads) as server:
        found = uvloop.run(measure(args, server))
    settings = {name: value for name, value in vars(args).items() if name != "output"}
    found = {"targets": TARGETS, **found, "settings": settings, **busy, "load_average_after": [round(one, 2) for one in os.getloadavg()]}
    text = json.dumps(found, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
