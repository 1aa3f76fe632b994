"""How long it takes from the start of a process to the first token, with a checkpoint of the official size that lies in memory.

    python benchmarks/bench_start.py --folder /dev/shm/start --output benchmarks/results/start.json

Writes random weights in the official layout (32.8 GB in shards of 5 GB) and a tokenizer of the official size, unless the folder already
holds them. Then two fresh processes load them, make an engine and write the first token behind 16: one without any kernel that Triton
has compiled before, one that finds those of the first. Prints JSON: seconds from the start of the process until each stage was reached;
how many kernels Triton had compiled or read by then, and in how many seconds; milliseconds from then on until a prompt's first token, whose
step is recorded with the second prompt and replayed with the third; GB/s of the load beside what this machine copies from pinned memory and
reads with as many threads; and the peer's seconds.
`--config` takes other sizes, to see that it works.
"""

import argparse
import base64
import errno
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

BEGAN = time.time()  # before torch is imported

import torch  # noqa: E402

TORCH_IMPORTED = time.time()

from kimi_vl.bench.engine import HERE, official_config  # noqa: E402
from kimi_vl.checkpoint import CheckpointReader, checkpoint_layout, load_model  # noqa: E402
from kimi_vl.checkpoint.staging import BUFFER_BYTES, THREADS  # noqa: E402
from kimi_vl.config import KimiVLConfig  # noqa: E402
from kimi_vl.engine import Engine, SamplingParams  # noqa: E402
from kimi_vl.engine.plan import planned_limits  # noqa: E402
from kimi_vl.llm import resolve_device  # noqa: E402
from kimi_vl.model import KimiVLForConditionalGeneration  # noqa: E402
from kimi_vl.model.quantise import quantiser  # noqa: E402
from kimi_vl.ops.triton.language import triton  # noqa: E402
from kimi_vl.processor import Processor  # noqa: E402

IMPORTED = time.time()

NANO = Path(str(files("kimi_vl.checkpoint"))) / "nano"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 5_000_000_000
BLOCK_VALUES = 128 << 20
WRITE_BYTES = 64 << 20
PROMPT = 16  # tokens
CPU_BYTES = 1 << 26  # for the latent cache and a step's work on a CPU
COPIED_BYTES = 1 << 30

Entry = tuple[str, str, list[int], int]  # name, dtype, shape, bytes


def write_checkpoint(folder: Path, config: KimiVLConfig) -> None:
    """Weights from N(0, 0.02), the router's in float32. They are one block over and over, each tensor from another place of it."""
    shards: list[list[Entry]] = [[]]
    for name, spec in checkpoint_layout(config).items():
        entry = (name, "F32", list(spec.shape), 4 * spec.numel) if spec.keep_fp32 else (name, "BF16", list(spec.shape), 2 * spec.numel)
        if sum(e[3] for e in shards[-1]) + entry[3] > SHARD_BYTES:
            shards.append([])
        shards[-1].append(entry)
    names = [f"model-{k:05d}-of-{len(shards):05d}.safetensors" for k in range(1, len(shards) + 1)]
    total = sum(entry[3] for shard in shards for entry in shard)
    values = torch.empty(min(BLOCK_VALUES, total), dtype=torch.bfloat16).normal_(0.0, 0.02)  # two of them are a float32 of that size
    block = memoryview(values.view(torch.uint8).numpy())
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name, shard: write_shard(folder / name, shard, block), names, shards))
    weight_map = {entry[0]: name for name, shard in zip(names, shards, strict=True) for entry in shard}
    (folder / INDEX).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))
    write_tokenizer(folder, config.text_config.vocab_size)
    (folder / "config.json").write_text(json.dumps(config.to_dict()))


def write_shard(path: Path, shard: list[Entry], block: memoryview) -> None:
    header, position = {}, 0
    for name, dtype, shape, count in shard:
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [position, position + count]}
        position += count
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    with open(path, "wb", buffering=0) as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        start = 0
        while position:
            piece = block[start : start + min(WRITE_BYTES, position)]
            written = file.write(piece)
            position -= written
            start = (start + written) % (len(block) - 2) & ~1  # not the same again where a tensor is as long as a block


def write_tokenizer(folder: Path, vocab_size: int) -> None:
    """Nano's tokens, made up to `vocab_size` by tokens of four bytes, and its control tokens behind them."""
    ranks = (NANO / "tiktoken.model").read_bytes().splitlines()
    named = json.loads((NANO / "tokenizer_config.json").read_text())
    slots = {int(key) - len(ranks): value for key, value in named["added_tokens_decoder"].items()}
    wanted = vocab_size - 1 - max(slots)
    if wanted < len(ranks):
        raise SystemExit(f"vocab_size is {vocab_size}; nano's tokenizer alone has {len(ranks) + 1 + max(slots)}")
    made = (b"\xff" + k.to_bytes(3, "big") for k in range(wanted - len(ranks)))  # no text in UTF-8 holds the byte 255
    lines = [*ranks, *(b"%s %d" % (base64.b64encode(token), rank) for rank, token in enumerate(made, len(ranks)))]
    (folder / "tiktoken.model").write_bytes(b"\n".join(lines) + b"\n")
    named["added_tokens_decoder"] = {str(wanted + slot): value for slot, value in slots.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(named))
    (folder / "preprocessor_config.json").write_bytes((NANO / "preprocessor_config.json").read_bytes())


def share_in_memory(folder: Path) -> float | None:
    """How much of the weights reading would not have to wait for, by samples; None where the file system does not tell."""
    found, buffer = [], bytearray(4096)
    for path in folder.glob("*.safetensors"):
        with open(path, "rb") as file:
            for k in range(256):
                try:
                    os.preadv(file.fileno(), [buffer], path.stat().st_size * k // 256, os.RWF_NOWAIT)
                    found.append(1)
                except OSError as error:
                    if error.errno != errno.EAGAIN:
                        return None
                    found.append(0)
    return sum(found) / len(found)


def start(folder: Path, device: torch.device, quantize: str | None, began: float) -> dict[str, object]:
    """In this process, which began at that time: when each stage was reached, and what the machine can do."""
    reached = {"interpreter": BEGAN - began, "torch imported": TORCH_IMPORTED - began, "imports": IMPORTED - began}
    kernels, kernels_until = Kernels(), dict[str, dict[str, float]]()

    def done(stage: str) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        reached[stage] = time.time() - began
        kernels_until[stage] = kernels.so_far()

    torch.zeros(1, device=device)
    done("device ready")
    config = KimiVLConfig.from_file(folder / "config.json")
    Processor.from_pretrained(folder, config.text_config.vocab_size)
    done("tokenizer")
    quantise = quantiser(quantize) if quantize else None
    model, _ = load_model(folder, KimiVLForConditionalGeneration, device=device, quantise=quantise)
    model.choose_implementations()
    done("weights loaded")
    on_gpu = device.type == "cuda"
    held = torch.cuda.max_memory_allocated(device) if on_gpu else None
    free = int(torch.cuda.mem_get_info(device)[0] * 0.95) if on_gpu else CPU_BYTES
    limits = planned_limits(config, free_bytes=free, max_running=256 if on_gpu else 8, step_tokens=8192 if on_gpu else 64)
    engine = Engine(model, limits)
    done("engine made")
    tokens = asked(engine)
    next(tokens)
    done("first token")
    next(tokens)
    done("second token")
    list(tokens)
    done("answer, its steps recorded")
    later = [milliseconds(engine) for _ in range(3)]
    weights = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    seconds = reached["weights loaded"] - reached["tokenizer"]
    return {
        "seconds_until": {stage: round(value, 3) for stage, value in reached.items()},
        "kernels_until": {
            stage: kernels_until[stage] for stage in ("engine made", "first token", "second token", "answer, its steps recorded")
        },
        "later_first_tokens_ms": later,
        "load_gb_s": round(weights / seconds / 1e9, 2),
        "most_allocated_by_the_load_gb": held and round(held / 1e9, 2),
        "limit_pinned_copy_gb_s": pinned_copy_rate(device) if on_gpu else None,
        "limit_reading_gb_s": reading_rate(folder),
        "device": torch.cuda.get_device_name(device) if on_gpu else "cpu",
    }


class Kernels:
    """Counts what Triton compiles, or reads from its cache, from now on."""

    def __init__(self) -> None:
        self.compiled, self.read, self.seconds = 0, 0, 0.0
        if triton is not None:
            triton.knobs.compilation.listener = self._hear

    def so_far(self) -> dict[str, float]:
        return {"compiled": self.compiled, "read": self.read, "seconds": round(self.seconds, 3)}

    def _hear(self, *, times: Any, cache_hit: bool, **_: Any) -> None:
        self.compiled += not cache_hit
        self.read += cache_hit
        self.seconds += times.total / 1e6


def milliseconds(engine: Engine) -> float:
    """Until the first token of a prompt; the rest of its answer is waited for."""
    started, tokens = time.perf_counter(), asked(engine)
    next(tokens)
    waited = time.perf_counter() - started
    list(tokens)
    return round(1e3 * waited, 3)


def asked(engine: Engine) -> Iterator[int]:
    """The tokens of an answer, as they come. Raises: what it failed with."""
    engine.submit(list(range(100, 100 + PROMPT)), SamplingParams(temperature=1.0, max_tokens=8, seed=0), end_ids=())
    while not engine.is_idle:
        for event in engine.step():
            if event.error is not None:
                raise event.error
            yield from event.token_ids


def pinned_copy_rate(device: torch.device) -> float:
    """GB/s from pinned memory to the device."""
    source, target = (
        torch.empty(COPIED_BYTES, dtype=torch.uint8, pin_memory=True),
        torch.empty(COPIED_BYTES, dtype=torch.uint8, device=device),
    )
    rates = []
    for _ in range(3):
        torch.cuda.synchronize(device)
        started = time.perf_counter()
        target.copy_(source, non_blocking=True)
        torch.cuda.synchronize(device)
        rates.append(COPIED_BYTES / (time.perf_counter() - started) / 1e9)
    return round(max(rates), 2)


def reading_rate(folder: Path) -> float:
    """GB/s of reading the weights with as many threads and buffers as the loader has, and nothing else."""
    with CheckpointReader(folder) as reader, ThreadPoolExecutor(THREADS) as pool:
        buffers = [torch.zeros(BUFFER_BYTES, dtype=torch.uint8) for _ in range(THREADS)]
        names = reader.names()

        def read(share: int) -> int:
            count = 0
            for name in names[share::THREADS]:
                dtype, num_bytes = reader.spec(name)[1], reader.num_bytes(name)
                for begin in range(0, num_bytes, BUFFER_BYTES):
                    part = buffers[share][: min(BUFFER_BYTES, num_bytes - begin)].view(dtype)
                    reader.read_into(name, part, begin // dtype.itemsize)
                    count += part.nbytes
            return count

        started = time.perf_counter()
        total = sum(pool.map(read, range(THREADS)))
        return round(total / (time.perf_counter() - started) / 1e9, 2)


@contextmanager
def checkpoint(folder: Path | None, config: KimiVLConfig) -> Iterator[tuple[Path, float]]:
    """A folder with a checkpoint of this configuration, and the seconds that it took to write it."""
    with tempfile.TemporaryDirectory() as temporary:
        place = folder or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        if not (place / "config.json").exists():  # it is written last
            write_checkpoint(place, config)
        elif KimiVLConfig.from_file(place / "config.json") != config:
            raise SystemExit(f"{place} holds a checkpoint of another configuration; name another --folder")
        yield place, time.perf_counter() - started


def in_fresh_process(folder: Path, args: argparse.Namespace, cache: str) -> dict[str, object]:
    command = [sys.executable, __file__, "--start", str(folder), "--device", args.device, "--began", repr(time.time())]
    command += ["--quantize", args.quantize] if args.quantize else []
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, "TRITON_CACHE_DIR": cache}).stdout
    return json.loads(out.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--folder", type=Path, help="where the checkpoint is written, and stays; default: a temporary folder")
    parser.add_argument("--config", type=Path, help="a config.json; default: the official sizes")
    parser.add_argument("--quantize", choices=("int8", "fp8", "int4"))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--began", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.start:
        print(json.dumps(start(args.start, resolve_device(args.device), args.quantize, args.began)))
        return
    config = KimiVLConfig.from_file(args.config) if args.config else official_config()
    with checkpoint(args.folder, config) as (folder, seconds), tempfile.TemporaryDirectory() as cache:
        report = {
            "what": "from the start of a process to the first token",
            "torch": torch.__version__,
            "cores": os.cpu_count(),
            "quantized": args.quantize,
            "weights_gb": round(sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e9, 3),
            "seconds_to_write_them": round(seconds, 1),
            "share_of_them_in_memory": share_in_memory(folder),
            "threads": THREADS,
            "triton_cache_empty": in_fresh_process(folder, args, cache),
            "triton_cache_filled": in_fresh_process(folder, args, cache),
            "peer_seconds": json.loads((HERE / "anchors.json").read_text())["start"]["peer"],
        }
    text = json.dumps(report, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
