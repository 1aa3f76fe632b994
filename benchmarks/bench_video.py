"""One frame a second of a long video, scaled: seconds, processor seconds, peak memory and right frames, beside other readers.

    python benchmarks/bench_video.py --minutes 60 --output benchmarks/results/video.json
    python benchmarks/bench_video.py --minutes 60 --peers /path/to/other/venv/bin/python     # for decord and torchcodec

Makes a clip of 1280×720 at 30 frames a second (H.264, preset fast, three B-frames: moving shapes and noise, every frame its own number as
bars) unless the cache folder holds it: one minute is encoded, and its packets are written once for every minute, about 20 MB each. Each
reader runs in a process of its own, gives every frame as RGB of 448×252 pixels, and says which number it saw; frame k is right if it is
number 30 k. `--threads` is what a reader is told to use. Readers that are not installed are left out. Prints JSON.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

WIDTH, HEIGHT, RATE, MINUTE = 1280, 720, 30, 60
SIZE = (448, 252)
BITS, STRIP = 11, 48  # 1,800 numbers; lines at the top
READERS = ("kimi_vl", "kimi_vl sandboxed memory", "opencv", "decord", "torchcodec")
ADDRESS_BYTES = 2 << 30


def draw(number: int, ground: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Brightness uint8 [720, 1280]: a ground that slides, a square that crosses it, noise, and the number as bars above."""
    rng = np.random.default_rng(number)
    y, x = rng.integers(0, 64, 2)
    picture = np.roll(ground, 3 * number, axis=1) + noise[y : y + HEIGHT, x : x + WIDTH]
    left = 7 * number % (WIDTH - 200)
    picture[250:450, left : left + 200] = 220 - number // 90 * 9 % 160
    bits = [(number >> bit) & 1 for bit in reversed(range(BITS))]
    picture[:STRIP] = np.resize(np.repeat(np.array(bits, np.uint8) * 200 + 20, -(-WIDTH // BITS)), WIDTH)
    return picture


def seen(pixels: np.ndarray) -> int:
    """The number that the bars of an RGB frame say."""
    row = pixels[4 : pixels.shape[0] * STRIP // HEIGHT - 4].mean((0, 2))
    bar = -(-WIDTH // BITS) * pixels.shape[1] / WIDTH
    return sum(int(row[min(int((bit + 0.5) * bar), len(row) - 1)] > 120) << (BITS - 1 - bit) for bit in range(BITS))


def encode_minute(path: Path) -> None:
    """One minute of it, as MP4."""
    import av

    rng = np.random.default_rng(0)
    noise = rng.integers(0, 16, (HEIGHT + 64, WIDTH + 64), np.uint8)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    ground = (40 + x * 120 // WIDTH + 30 * ((x // 80 + y // 80) % 2)).astype(np.uint8)
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=RATE, options={"preset": "fast", "crf": "24"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(RATE * MINUTE):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            frame.planes[0].update(draw(number, ground, noise).tobytes())
            for plane, value in zip(frame.planes[1:], (110 + number // 300 * 9, 140), strict=True):
                plane.update(bytes([value]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def make_clip(folder: Path, minutes: int) -> Path:
    """The clip in the cache folder, made where it is missing: a minute's packets, over and over."""
    import av

    folder.mkdir(parents=True, exist_ok=True)
    minute, path = folder / "minute.mp4", folder / f"clip-{minutes}.mp4"
    if not minute.exists():
        encode_minute(minute.with_suffix(".part"))
        minute.with_suffix(".part").rename(minute)
    if not path.exists():
        part = path.with_suffix(".part")
        with av.open(str(part), "w", format="mp4") as out:
            written = None
            for k in range(minutes):
                with av.open(str(minute)) as source:
                    stream = source.streams.video[0]
                    written = written or out.add_stream_from_template(stream)
                    for packet in source.demux(stream):
                        if packet.dts is None:
                            continue
                        packet.pts += k * int(MINUTE / stream.time_base)
                        packet.dts += k * int(MINUTE / stream.time_base)
                        packet.stream = written
                        out.mux(packet)
        part.rename(path)
    return path


# Readers: every frame of one a second, as uint8 RGB of SIZE ---------------------------------------------------------------


def by_kimi_vl(clip: Path, threads: int, seconds: int) -> Iterator[np.ndarray]:
    from kimi_vl.media.video import container, read_video_frames

    container.MAX_THREADS = threads
    request = {"per_second": 1, "size": list(SIZE), "max_frames": seconds}
    with clip.open("rb") as file:
        for part in read_video_frames(file, clip.name, request):
            if part.pixels_HWC is not None:
                yield part.pixels_HWC


def by_kimi_vl_sandboxed_memory(clip: Path, threads: int, seconds: int) -> Iterator[np.ndarray]:
    """The same with as much address space as a confined process has."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    yield from by_kimi_vl(clip, threads, seconds)


def by_opencv(clip: Path, threads: int, seconds: int) -> Iterator[np.ndarray]:
    """All frames grabbed in order, one a second converted: it seeks by time to a frame that is sometimes the next."""
    import cv2

    cv2.setNumThreads(threads)
    video = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, threads])
    for number in range(seconds * RATE):
        if not video.grab():
            return
        if number % RATE == 0:
            scaled = cv2.resize(video.retrieve()[1], SIZE, interpolation=cv2.INTER_AREA)
            yield cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB)


def by_decord(clip: Path, threads: int, seconds: int) -> Iterator[np.ndarray]:
    import decord

    video = decord.VideoReader(str(clip), width=SIZE[0], height=SIZE[1], num_threads=threads)
    for number in range(0, seconds * RATE, RATE):
        yield video[number].asnumpy()


def by_torchcodec(clip: Path, threads: int, seconds: int) -> Iterator[np.ndarray]:
    """In batches of 32 moments, as its documentation advises; scaled afterwards."""
    from torch.nn.functional import interpolate
    from torchcodec.decoders import VideoDecoder

    video = VideoDecoder(str(clip), num_ffmpeg_threads=threads, seek_mode="approximate")
    for first in range(0, seconds, 32):
        frames = video.get_frames_played_at(list(range(first, min(first + 32, seconds)))).data
        for frame in interpolate(frames.float(), (SIZE[1], SIZE[0]), mode="bilinear", antialias=True).byte().permute(0, 2, 3, 1):
            yield frame.numpy()


def work(reader: str, clip: Path, threads: int, minutes: int) -> None:
    """Run one reader in this process and print how many of its frames are right."""
    frames = globals()[f"by_{reader.replace(' ', '_')}"](clip, threads, minutes * MINUTE)
    numbers = [seen(frame) for frame in frames]
    right = sum(number == RATE * k % (RATE * MINUTE) for k, number in enumerate(numbers))
    # Not ru_maxrss, which a process inherits from the one that started it.
    peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"peak_mib": peak // 1024, "frames": len(numbers), "right": right}))


def measure(python: str, reader: str, clip: Path, args: argparse.Namespace) -> dict | None:
    """One reader in a fresh process; None where it is not installed."""
    command = [python, __file__, "--worker", reader, "--clip", str(clip), "--threads", str(args.threads), "--minutes", str(args.minutes)]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    output, errors = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if process.returncode:
        print(f"{reader}: {errors.strip().splitlines()[-1] if errors.strip() else process.returncode}", file=sys.stderr)
        return None
    return {
        "reader": reader,
        "seconds": round(seconds, 2),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "video_frames_per_second": round(args.minutes * MINUTE * RATE / seconds),
        **json.loads(output),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cache", type=Path, default=Path(".data") / "video", help="folder for the clip")
    parser.add_argument("--peers", default=sys.executable, help="Python that has decord and torchcodec")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        work(args.worker, args.clip, args.threads, args.minutes)
        return
    clip = make_clip(args.cache, args.minutes)
    pythons = {reader: args.peers if reader in ("decord", "torchcodec") else sys.executable for reader in READERS}
    found = [measure(pythons[reader], reader, clip, args) for reader in READERS]
    report = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "clip": {"minutes": args.minutes, "megabytes": round(clip.stat().st_size / 1e6), "size": [WIDTH, HEIGHT], "rate": RATE},
        "threads": args.threads,
        "frames_as": list(SIZE),
        "readers": [result for result in found if result is not None],
    }
    text = json.dumps(report, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
