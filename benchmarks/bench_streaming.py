"""Seconds to nano's first token about a long video: frames encoded while the next ones are decoded, and one after the other.

    python benchmarks/bench_streaming.py --output benchmarks/results/streaming.json

The clips are those of `bench_video.py`: 1280×720 at 30 frames a second. A short one is looked at once a second, an hour as `ask` does where
nobody says anything. Every run has a process of its own, both ways in turns; the best of `--repeats` counts, for both. By `KimiVL.ask`, the
plain path, and by `AsyncKimiVL`, which is what the server asks; one after the other, the same code is not told of frames as they arrive.
Peak memory is that of the asking process; decoders are others. `held` is by how much such a process grows while it only looks at the hour,
with the budget of a large checkpoint's context, and what the patches of its frames take. Prints JSON.
"""

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench_video import make_clip

QUESTION = "When does the square reach the edge?"
WAYS = ("streamed", "one after the other")
ASKED = ("KimiVL", "AsyncKimiVL")
HELD = "held"
CASES: dict[str, tuple[int, dict[str, Any]]] = {  # minutes, what is looked at
    "a minute, a frame a second": (1, {"fps": 1.0, "media_tokens": 5_000}),
    "an hour, as by default": (60, {}),
}


def first_token(clip: Path, looking: dict[str, Any]) -> dict[str, Any]:
    """By `KimiVL`: seconds until everything is seen, and until there is a token."""
    from kimi_vl import KimiVL

    llm = KimiVL.load(device="cpu")
    llm.ask("What is 2 + 2?", max_tokens=2)
    began = time.perf_counter()
    stream = llm.stream(QUESTION, clip, temperature=0.0, max_tokens=8, **looking)
    seen = time.perf_counter()
    pieces = [next(stream).text]
    first = time.perf_counter()
    pieces += [piece.text for piece in stream]
    assert stream.sight is not None
    return {"seen_s": seen - began, "first_token_s": first - began, "frames": len(stream.sight.views), "text": "".join(pieces)}


async def first_token_served(clip: Path, looking: dict[str, Any], streamed: bool) -> dict[str, Any]:
    """By `AsyncKimiVL`, as the server asks it."""
    from kimi_vl import KimiVL
    from kimi_vl.engine import Limits
    from kimi_vl.llm import AsyncKimiVL, content_of, see_messages
    from kimi_vl.media import open_medium

    model = AsyncKimiVL(KimiVL.load(device="cpu"), Limits(num_pages=512, page_size=64, max_running=4, step_tokens=1024))
    params = model.defaults.__class__(temperature=0.0, max_tokens=8)
    began, early = time.perf_counter(), model.early()

    def see() -> Any:
        arrived = early.take if streamed else None
        return see_messages(model.processor, model.context, content_of(QUESTION, [open_medium(clip)]), arrived=arrived, **looking)

    seen = await asyncio.to_thread(see)
    seen_at = time.perf_counter()
    (answer,) = await model.answer(model.question(seen.messages, early=early), params)
    pieces, first = [], 0.0
    async for said in answer:
        first = first or time.perf_counter()
        pieces.append(said.text)
    await model.close()
    return {"seen_s": seen_at - began, "first_token_s": first - began, "frames": len(seen.sight.views), "text": "".join(pieces)}


def held(clip: Path, context: int = 131_072, frames: int = 64) -> dict[str, Any]:
    """What looking at a clip takes of memory, without a network."""
    from kimi_vl.checkpoint import locate_checkpoint
    from kimi_vl.llm import look_at
    from kimi_vl.processor import Processor

    processor = Processor.from_pretrained(locate_checkpoint(None))
    look_at(processor, context, QUESTION, clip, frames=1).close()
    before = peak_mib()
    with look_at(processor, context, QUESTION, clip, frames=frames, arrived=lambda _: None) as sight:
        patches = sum(view.cut.patches.nbytes for view in sight.views) >> 20
        return {"context": context, "frames": frames, "size": sight.views[0].size, "patches_mib": patches, "grown_mib": peak_mib() - before}


def peak_mib() -> int:
    """Of this process so far."""
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")) // 1024


def work(asked: str, way: str, clip: Path, looking: dict[str, Any]) -> None:
    """One run in this process; prints a line of JSON."""
    if asked == HELD:
        print(json.dumps(held(clip)))
        return
    if asked == "KimiVL":
        if way != WAYS[0]:
            from kimi_vl.llm.early import PlainEarly

            PlainEarly.take = lambda *_: None  # type: ignore[method-assign]
        found = first_token(clip, looking)
    else:
        found = asyncio.run(first_token_served(clip, looking, way == WAYS[0]))
    print(json.dumps({**found, "peak_mib": peak_mib()}))


def measure(asked: str, way: str, clip: Path, looking: dict[str, Any], threads: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--worker", asked, "--way", way, "--clip", str(clip), "--looking", json.dumps(looking)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1, help="of the network; the decoder has its own")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(".data") / "video", help="folder for the clips")
    parser.add_argument("--cases", nargs="*", metavar="CASE", default=list(CASES), choices=list(CASES))
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", choices=(*ASKED, HELD), help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--looking", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.way, args.clip, args.looking)
        return
    runs = []
    for case in args.cases:
        minutes, looking = CASES[case]
        clip = make_clip(args.cache, minutes)
        for asked in ASKED:
            found: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
            for _ in range(args.repeats):  # in turns, so that a busy moment of the machine falls on both
                for way in WAYS:
                    found[way].append(measure(asked, way, clip, looking, args.threads))
            load = round(os.getloadavg()[0], 1)
            texts = {one["text"] for several in found.values() for one in several}
            for way, several in found.items():
                best = min(several, key=lambda one: one["first_token_s"])
                all_s = [round(one["first_token_s"], 2) for one in several]
                runs.append(
                    {
                        "case": case,
                        "asked": asked,
                        "way": way,
                        "same_answer": len(texts) == 1,
                        **best,
                        "all_first_token_s": all_s,
                        "load": load,
                    }
                )
                print(json.dumps(runs[-1]), file=sys.stderr)
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    report = {"machine": machine, "threads": args.threads, "runs": runs}
    report["held"] = measure(HELD, WAYS[0], make_clip(args.cache, 60), {}, args.threads)
    text = json.dumps(report, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
