"""What the sandbox costs: python benchmarks/bench_media.py [--images 60] [--output FILE]. Prints JSON, times in milliseconds.

The same picture is decoded by the same reader in this process and inside, in turns, so that a busy machine slows both; `overhead` is the
difference of the medians, and of the least. Pillow alone is the peer. Seconds of the processor, of this process and of the workers
together, say what the wall clock of a busy machine hides. The targets are those of RELIABILITY 3.2: 5 ms a picture at the median, and a
worker replaced within 500 ms of its death.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import time
from dataclasses import asdict
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media import ImageLimits, load_image, sandbox
from kimi_vl.media.pictures import read_picture
from kimi_vl.media.sandbox.pool import Pool, Worker


def photograph(megapixels: float) -> bytes:
    """A JPEG of that many megapixels whose content is as busy as a photograph's."""
    side = int((megapixels * 1e6) ** 0.5) // 8 * 8
    generator = np.random.default_rng(0)
    coarse = np.kron(generator.integers(0, 256, (side // 8, side // 8, 3)), np.ones((8, 8, 1)))
    picture = np.clip(coarse + generator.normal(0, 6, coarse.shape), 0, 255).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def worker_cpu_ms() -> dict[int, float]:
    """Processor time of each worker at rest, by its number, as the kernel's scheduler counts it."""
    spent = {}
    for worker in sandbox._pool._idle:
        with open(f"/proc/{worker.pid}/schedstat") as file:
            spent[worker.pid] = int(file.read().split()[0]) / 1e6
    return spent


def cost(action) -> tuple[float, float]:
    """Milliseconds on the wall, and of the processor here and in the workers (nan where one was replaced meanwhile)."""
    inside, own = worker_cpu_ms(), time.process_time()
    wall = milliseconds(action)
    own, after = (time.process_time() - own) * 1e3, worker_cpu_ms()
    return wall, own + sum(after.values()) - sum(inside.values()) if after.keys() == inside.keys() else float("nan")


def milliseconds(action) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e3


def quantile(times: list[float], share: float) -> float:
    return round(float(np.nanquantile(times, share)), 2)


def decoding(data: bytes, count: int) -> dict[str, object]:
    """In this process and inside, in turns."""
    request = {"format": "JPEG", "show": "first", "limits": asdict(ImageLimits())}

    def here() -> None:
        (part,) = read_picture(BytesIO(data), "the image", request)
        part.as_image()

    def plain() -> None:
        Image.open(BytesIO(data), formats=("JPEG",)).convert("RGB").load()

    actions = {"pillow_alone": plain, "same_reader_in_process": here, "sandbox": lambda: load_image(data)}
    walls: dict[str, list[float]] = {name: [] for name in actions}
    cpus: dict[str, list[float]] = {name: [] for name in actions}
    for turn in range(count + 3):
        for name, action in actions.items():
            wall, cpu = cost(action)
            if turn >= 3:
                walls[name].append(wall)
                cpus[name].append(cpu)
    found: dict[str, object] = {}
    for name in actions:
        found[name] = {
            "p50": quantile(walls[name], 0.5),
            "p95": quantile(walls[name], 0.95),
            "least": quantile(walls[name], 0),
            "cpu_p50": quantile(cpus[name], 0.5),
            "cpu_least": quantile(cpus[name], 0),
        }
    for what, times, share in (("p50", walls, 0.5), ("least", walls, 0.0), ("cpu_p50", cpus, 0.5), ("cpu_least", cpus, 0.0)):
        found[f"overhead_{what}"] = round(quantile(times["sandbox"], share) - quantile(times["same_reader_in_process"], share), 2)
    return found


def starting() -> dict[str, float]:
    """A nursery and its first worker, from nothing; then another worker."""
    pool = Pool(2)
    where = sandbox.READERS["picture"].where
    workers: list[Worker] = []
    first = milliseconds(lambda: workers.append(pool.lend(where)))
    second = milliseconds(lambda: workers.append(pool.lend(where)))
    for worker in workers:
        pool.give_back(worker, reusable=False)
    pool.close()
    return {"nursery_and_first_worker": round(first, 1), "another_worker": round(second, 1)}


def replacing(data: bytes) -> float:
    """From the error about a killed worker to the next picture."""
    load_image(data)
    worker = sandbox._pool._idle[-1]
    os.kill(worker.pid, signal.SIGSTOP)  # so that it is lent, and dies while somebody waits for it
    killer = os.fork()
    if killer == 0:
        time.sleep(0.05)
        os.kill(worker.pid, signal.SIGKILL)
        os._exit(0)
    try:
        load_image(data)
    except MediaError:
        return milliseconds(lambda: load_image(data))
    finally:
        os.waitpid(killer, 0)
    raise SystemExit("the killed worker answered")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=60)
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    report = {
        "command": f"python benchmarks/bench_media.py --images {args.images}",
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": len(os.sched_getaffinity(0)), "load": os.getloadavg()[0]},
        "protections": sandbox.protections(),
        "start": [starting() for _ in range(3)],
        "jpeg_1_megapixel": decoding(photograph(1.0), args.images),
        "jpeg_12_megapixels": decoding(photograph(12.0), max(3, args.images // 10)),
        "replaced_after_sigkill": [round(replacing(photograph(0.1)), 1) for _ in range(5)],
    }
    text = json.dumps(report, indent=2)
    print(text)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
