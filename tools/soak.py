"""Many clients, some of whom leave in the middle: whether everybody who stays gets what they would get alone, and nothing is left behind.

    python tools/soak.py --requests 10000 --clients 64 --leaving 0.2 --seed 1     # writes one JSON document
    python tools/soak.py --overload --seed 1                                      # ten times as many as fit, at once

It starts `kimi-vl serve` with nano as a process of its own, asks each question alone first, then all of them in random order from many
clients: whole and streamed, several answers, schemas, tools, pictures. Exit code 1 if an answer differs, a status is not the one intended,
or pages, files or processes are left.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from PIL import Image, ImageDraw

LEAVE_WITHIN_S = 0.4
WORDS = "amber basil cedar delta ember fjord grape hazel ivory jade karst lemon maple nylon onyx pearl quartz river slate topaz".split()
SCHEMA = {"type": "object", "properties": {"word": {"enum": WORDS[:4]}}, "required": ["word"], "additionalProperties": False}


def picture(text: str) -> str:
    """A line of print as a data URL."""
    image = Image.new("RGB", (112, 28), "white")
    ImageDraw.Draw(image).text((6, 8), text, fill="black")
    data = io.BytesIO()
    image.save(data, "PNG")
    return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()


def questions(rng: random.Random, count: int) -> list[dict[str, Any]]:
    """Requests of all kinds, each with an answer of its own."""
    made = []
    for k in range(count):
        word, number = rng.choice(WORDS), rng.randrange(1000, 9999)
        text = f"The word is {word} and the number is {number}. " * rng.choice((1, 2, 5, 12)) + "What is the number?"
        content: Any = text
        if k % 3 == 0:
            content = [{"type": "image_url", "image_url": {"url": picture(f"{word} {number}")}}, {"type": "text", "text": "Read the text."}]
        request: dict[str, Any] = {
            "model": "nano",
            "messages": [{"role": "user", "content": content}],
            "max_tokens": rng.choice((4, 8, 16)),
        }
        if k % 4 == 1:
            request |= {"temperature": 1.0, "seed": k, "n": rng.choice((1, 2, 3))}
        if k % 7 == 2:
            request |= {"response_format": {"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}}, "thinking": "off"}
        elif k % 11 == 3:
            request |= {
                "tools": [{"type": "function", "function": {"name": "look"}}],
                "tool_choice": "required",
                "thinking": "off",
                "max_tokens": 40,
            }
        made.append(request)
    return made


@dataclass
class Report:
    """What happened."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    left: int = 0
    rejected_s: list[float] = field(default_factory=list)


class Server:
    """`kimi-vl serve` in a process of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "kimi_vl.cli.main", "serve", "--port", "0", *arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self.process.stderr is not None
        records = (json.loads(line) for line in self.process.stderr if line.startswith("{"))
        self.port = next(record["port"] for record in records if record["event"] == "listening")
        # The log is read on, so that the server never waits for us; what it says of faults is kept.
        self.reading = asyncio.get_running_loop().run_in_executor(None, lambda: [r for r in records if r["level"] in ("error", "critical")])

    def held(self) -> dict[str, int]:
        """Open files, and processes that it started."""
        root = Path(f"/proc/{self.process.pid}")
        children = sum(len((task / "children").read_text().split()) for task in (root / "task").iterdir())
        return {"files": len(self.files()), "children": children}

    def files(self) -> list[str]:
        """What the open files are."""
        found = []
        for path in Path(f"/proc/{self.process.pid}/fd").iterdir():
            with suppress(OSError):
                found.append(os.readlink(path).partition(":")[0])
        return found

    def memory(self) -> int:
        """Resident MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) // 1024

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    async def stop(self) -> tuple[int, list[Any]]:
        """Exit code, and what the log said of faults."""
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, 60), await self.reading


def said(document: dict[str, Any]) -> list[Any]:
    """What an answer says, without ids."""
    found = []
    for choice in sorted(document["choices"], key=lambda choice: choice["index"]):
        message = choice["message"]
        calls = [(call["function"]["name"], call["function"]["arguments"]) for call in message.get("tool_calls") or ()]
        found.append([message["content"] or "", message.get("reasoning_content") or "", calls, choice["finish_reason"]])
    return found


def joined(text: str) -> list[Any]:
    """The same of a stream. Raises: KeyError, ValueError for one that did not end as it should."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.startswith("data: ")]
    if not lines or lines.pop() != "[DONE]":
        raise ValueError("the stream has no end")
    choices: dict[int, list[Any]] = {}
    for line in lines:
        for choice in json.loads(line)["choices"]:
            one, delta = choices.setdefault(choice["index"], ["", "", [], None]), choice["delta"]
            one[0] += delta.get("content") or ""
            one[1] += delta.get("reasoning_content") or ""
            for call in delta.get("tool_calls") or ():
                if call["index"] == len(one[2]):
                    one[2].append(("", ""))
                name, arguments = one[2][call["index"]]
                function = call["function"]
                one[2][call["index"]] = (name or function.get("name", ""), arguments + function.get("arguments", ""))
            one[3] = choice["finish_reason"] or one[3]
    return [choices[k] for k in sorted(choices)]


async def ask(client: httpx.AsyncClient, request: dict[str, Any], streams: bool) -> tuple[int, Any]:
    """Status, and what was said."""
    response = await client.post("/v1/chat/completions", json={**request, "stream": True} if streams else request)
    if response.status_code != 200:
        return response.status_code, None
    return 200, joined(response.text) if streams else said(response.json())


async def run(args: argparse.Namespace) -> dict[str, Any]:
    """The report."""
    if args.overload:
        with Server("--max-running", str(args.max_running), "--set", f"waiting={args.max_running}") as server:
            return await overload(args, server)
    arguments = ("--set", f"waiting={4 * args.clients}", "--set", "queue_s=300", "--max-running", str(args.max_running))
    with Server(*arguments) as server:
        return await soak(args, server)


async def soak(args: argparse.Namespace, server: Server) -> dict[str, Any]:
    """Raises: AssertionError for a server that cannot even answer one after another."""
    rng = random.Random(args.seed)
    base, report = f"http://127.0.0.1:{server.port}", Report()
    asked = questions(rng, args.questions)
    async with httpx.AsyncClient(base_url=base, timeout=600, trust_env=False, limits=httpx.Limits(max_connections=args.clients)) as client:
        alone = []
        for request in asked:
            status, answer = await ask(client, request, False)
            assert status == 200, (status, request)
            alone.append(answer)
        await asyncio.gather(*(ask(client, request, False) for request in asked))  # as many decoders as there will be
        before, memory = server.held(), server.memory()
        order = [rng.randrange(len(asked)) for _ in range(args.requests)]
        left = iter(order)
        began = time.monotonic()

        async def one(number: int) -> None:
            """One client, who goes on to the next question until there is none."""
            own = random.Random(args.seed * 1000 + number)
            for k in left:
                if own.random() < args.leaving:
                    try:
                        async with asyncio.timeout(own.random() * LEAVE_WITHIN_S):
                            await ask(client, asked[k], own.random() < 0.5)
                    except TimeoutError:
                        report.left += 1
                    continue
                status, answer = await ask(client, asked[k], own.random() < 0.5)
                report.statuses[status] += 1
                if status == 200 and json.dumps(answer) != json.dumps(alone[k]):
                    report.wrong.append({"question": k, "alone": alone[k], "said": answer})

        await asyncio.gather(*(one(number) for number in range(args.clients)))
        seconds = time.monotonic() - began
    rest = await at_rest(base, before, server)
    code, faults = await server.stop()
    found = {
        "seed": args.seed,
        "requests": args.requests,
        "clients": args.clients,
        "seconds": round(seconds, 1),
        "statuses": dict(report.statuses),
        "left": report.left,
        "wrong": len(report.wrong),
        "first_wrong": report.wrong[:3],
        "faults_logged": faults[:3],
        "exit_code": code,
        "memory_mib": [memory, rest.pop("memory")],
        **rest,
    }
    bad = report.wrong or set(report.statuses) != {200} or code or faults or rest["left_behind"]
    return {**found, "passed": not bad}


async def at_rest(base: str, before: dict[str, int], server: Server) -> dict[str, Any]:
    """What is left behind once nobody asks any more."""
    async with httpx.AsyncClient(base_url=base, trust_env=False) as client:
        for _ in range(100):
            text = (await client.get("/metrics")).text
            gauges = {
                name: value(text, name)
                for name in ("requests_inside", "slots_taken", "engine_running", "engine_waiting", "cache_pages_held")
            }
            if not any(gauges.values()):
                break
            await asyncio.sleep(0.05)
    after = server.held()
    for _ in range(20):  # connections that are being closed
        if after["files"] <= before["files"]:
            break
        await asyncio.sleep(0.1)
        after = server.held()
    behind: dict[str, Any] = {name: number for name, number in gauges.items() if number}
    behind |= {name: after[name] - before[name] for name in after if after[name] > before[name]}
    if after["files"] > before["files"]:
        behind["kinds"] = Counter(server.files())
    return {"left_behind": behind, "cancelled": counted(text, "kimi_vl_requests_cancelled_total"), "memory": server.memory()}


def value(text: str, name: str) -> float:
    """A gauge."""
    return float(text.partition(f"\nkimi_vl_{name} ")[2].split()[0])


def counted(text: str, name: str) -> dict[str, float]:
    """A counter by its label."""
    lines = [line for line in text.splitlines() if line.startswith(name + "{")]
    return {line.split('"')[1]: float(line.split()[-1]) for line in lines}


async def overload(args: argparse.Namespace, server: Server) -> dict[str, Any]:
    """Ten times as many as fit, at once and again: who is sent away hears so at once, who is taken in is answered."""
    fits, report = 2 * args.max_running, Report()
    request = {"model": "nano", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 24}
    body = json.dumps(request).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    data = (head + "Connection: close\r\n\r\n").encode() + body
    connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(10 * fits)]

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """By hand, because a client that is slow itself would measure itself."""
        began = time.monotonic()
        writer.write(data)
        status = int((await reader.readline()).split()[1])
        report.statuses[status] += 1
        if status != 200:
            report.rejected_s.append(time.monotonic() - began)
        await reader.read()
        writer.close()

    for _ in range(args.bursts):
        await asyncio.gather(*(one(*connection) for connection in connections))
        connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(10 * fits)]
    for _, writer in connections:
        writer.close()
    code, faults = await server.stop()
    cuts = statistics.quantiles(report.rejected_s, n=100)
    found = {"bursts": args.bursts, "fits": fits, "statuses": dict(report.statuses), "exit_code": code, "faults_logged": faults[:3]}
    found |= {"rejected_p50_ms": round(1000 * cuts[49], 1), "rejected_p99_ms": round(1000 * cuts[98], 1)}
    return {**found, "passed": set(report.statuses) == {200, 503} and not code and not faults}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--questions", type=int, default=60)
    parser.add_argument("--leaving", type=float, default=0.2)
    parser.add_argument("--max-running", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--overload", action="store_true")
    parser.add_argument("--bursts", type=int, default=5)
    args = parser.parse_args()
    found = asyncio.run(run(args))
    print(json.dumps(found, indent=1))
    return 0 if found["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
