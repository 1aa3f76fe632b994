"""What the server costs beside calling the engine directly: throughput of many clients, and what one client waits longer.

    python benchmarks/bench_server.py --output benchmarks/results/server.json

nano on the CPU. Direct is `AsyncKimiVL` in this process, served is `kimi-vl serve` in one of its own, asked by a client that does no more
than write and read HTTP. Both get the same questions, none of them twice, in turns; both have `--threads` threads for torch, one less than
there are cores, because a client needs one as well. Targets: at most 3 % of the throughput of 64 clients, 3 ms of one client's wait.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from kimi_vl.llm import AsyncKimiVL
from kimi_vl.processor.chat import Message, TextPart

TARGETS = {"throughput_lost": "<= 0.03", "p50_added_ms": "<= 3"}
WORDS = "amber basil cedar delta ember fjord grape hazel ivory jade karst lemon maple nylon onyx pearl quartz river slate topaz".split()
Ask = Callable[[int, str, int], Awaitable[int]]  # (client, question, most tokens) -> tokens of the answer


def question(rng: random.Random) -> str:
    """Some 50 tokens; no two begin alike."""
    facts = " ".join(f"The {rng.choice(WORDS)} number is {rng.randrange(1000, 9999)}." for _ in range(2))
    return f"{rng.randrange(10**9)}. {facts} Read the text."


class Direct:
    """The engine, asked without a server."""

    def __init__(self, model: AsyncKimiVL) -> None:
        self.model = model

    async def ask(self, client: int, text: str, tokens: int) -> int:
        asked = self.model.question([Message("user", (TextPart(text),))], thinking="off")
        [answer] = await self.model.answer(asked, replace(self.model.defaults, max_tokens=tokens, temperature=0.0))
        async for _ in answer:
            pass
        return answer.usage.completion_tokens


class Served:
    """The server, over connections that stay open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.open: dict[int, tuple[asyncio.StreamReader, asyncio.StreamWriter]] = {}

    async def ask(self, client: int, text: str, tokens: int) -> int:
        if client not in self.open:
            self.open[client] = await asyncio.open_connection("127.0.0.1", self.port)
        reader, writer = self.open[client]
        fields = {
            "model": "nano",
            "messages": [{"role": "user", "content": text}],
            "max_tokens": tokens,
            "temperature": 0,
            "thinking": "off",
        }
        body = json.dumps(fields).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        headers = (await reader.readuntil(b"\r\n\r\n")).lower()
        answer = await reader.readexactly(int(headers.partition(b"content-length: ")[2].split(b"\r\n")[0]))
        if b" 200 " not in headers.split(b"\r\n")[0]:
            raise SystemExit(f"the server did not answer: {answer[:300]!r}")
        return int(json.loads(answer)["usage"]["completion_tokens"])


async def throughput(ask: Ask, questions: list[str], clients: int, tokens: int) -> tuple[float, int]:
    """Tokens a second of many clients, each asking one question after another; and how many tokens there were."""
    left, total = iter(questions), 0
    began = time.perf_counter()

    async def one(client: int) -> None:
        nonlocal total
        for text in left:
            total += await ask(client, text, tokens)

    await asyncio.gather(*(one(client) for client in range(clients)))
    return total / (time.perf_counter() - began), total


async def waits(ask: Ask, questions: list[str]) -> list[float]:
    """Milliseconds until one client has an answer of one token."""
    found = []
    for text in questions:
        began = time.perf_counter()
        await ask(0, text, 1)
        found.append(1000 * (time.perf_counter() - began))
    return found


async def measure(args: argparse.Namespace, port: int) -> dict[str, Any]:
    """Direct and served in turns, the first of which is the one or the other in turns."""
    model = AsyncKimiVL.load(device="cpu", max_running=args.max_running)
    ways: dict[str, Ask] = {"direct": Direct(model).ask, "served": Served(port).ask}
    rng = random.Random(args.seed)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    waited: dict[str, list[float]] = {name: [] for name in ways}
    for ask in ways.values():  # warm
        await throughput(ask, [question(random.Random(k)) for k in range(args.clients)], args.clients, args.tokens)
    for k in range(args.rounds):
        many, few = [question(rng) for _ in range(args.requests)], [question(rng) for _ in range(args.alone)]
        counted = set()
        for name in list(ways)[:: 1 if k % 2 else -1]:
            rate, total = await throughput(ways[name], many, args.clients, args.tokens)
            rates[name].append(rate)
            waited[name] += await waits(ways[name], few)
            counted.add(total)
        if len(counted) > 1:
            raise SystemExit(f"the answers had {counted} tokens: the two did not do the same work")
    await model.close()
    lost = [1 - served / direct for direct, served in zip(rates["direct"], rates["served"], strict=True)]
    p50 = {name: statistics.median(values) for name, values in waited.items()}
    return {
        "throughput_lost": round(statistics.median(lost), 4),
        "throughput_lost_by_round": [round(value, 4) for value in lost],
        "tokens_per_s": {name: round(statistics.median(values), 1) for name, values in rates.items()},
        "p50_added_ms": round(p50["served"] - p50["direct"], 2),
        "p50_ms": {name: round(value, 2) for name, value in p50.items()},
    }


def listening(log: Path, server: subprocess.Popen[bytes]) -> int:
    """The port, once the server says it."""
    while server.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("{") and (record := json.loads(line))["event"] == "listening":
                return int(record["port"])
        time.sleep(0.1)
    raise SystemExit(f"the server did not start: {log.read_text()[-300:]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--requests", type=int, default=256, help="of a round")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--alone", type=int, default=25, help="requests of one client alone, of a round")
    parser.add_argument("--tokens", type=int, default=32, help="of an answer, at most")
    parser.add_argument("--max-running", type=int, default=16)
    parser.add_argument("--threads", type=int, default=max(1, (os.cpu_count() or 2) - 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    command = [sys.executable, "-m", "kimi_vl.cli.main", "serve", "--port", "0", "--max-running", str(args.max_running)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads)}
    waiting = ["--set", f"waiting={4 * args.clients}", "--set", "queue_s=300", "--set", "keep_alive_s=600"]
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        with log.open("w") as file, subprocess.Popen([*command, *waiting], stderr=file, env=environment) as server:
            try:
                found = asyncio.run(measure(args, listening(log, server)))
            finally:
                server.kill()
    settings = {name: value for name, value in vars(args).items() if name != "output"}
    found = {
        "targets": TARGETS,
        **found,
        "settings": settings,
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
    }
    text = json.dumps(found, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
