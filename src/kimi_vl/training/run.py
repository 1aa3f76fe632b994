"""Train a checkpoint through one or more stages: `python -m kimi_vl.training.run --help`, or under torchrun for several GPUs.

Resumes from `--state` if there is a finished one, else from the weights in `--weights`, else from random weights. The state is
written whole and renamed, so a process killed at any moment leaves the previous one.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import time
from pathlib import Path

import safetensors.torch
import torch
import torch.distributed as dist

from kimi_vl.checkpoint.save import save_checkpoint
from kimi_vl.config import KimiVLConfig
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.training.loader import BatchStream, SceneMix, batches
from kimi_vl.training.network import TrainedNetwork, initialise
from kimi_vl.training.packing import Batch
from kimi_vl.training.stage import Stage
from kimi_vl.training.trainer import Ranks, Trainer

STAGES = Path(__file__).parent / "stages"
VALIDATION_BATCHES = 1  # per family and rank: 64 pages or several hundred lines each


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a Kimi-VL checkpoint.")
    parser.add_argument(
        "stages", nargs="+", metavar="STAGE[@SECONDS]", help="stage file or name, with the second since start at which it ends"
    )
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with config.json and the tokenizer")
    parser.add_argument("--weights", type=Path, help="checkpoint folder to start from")
    parser.add_argument("--data", type=Path, help="data pack; without one the small built-in")
    parser.add_argument("--state", type=Path, required=True, help="folder for the resumable state")
    parser.add_argument("--out", type=Path, required=True, help="folder for log and int8 checkpoint")
    parser.add_argument("--workers", type=int, default=0, help="rendering processes per rank")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-compile", action="store_true")
    return parser.parse_args()


def main() -> None:
    started = time.monotonic()
    args = arguments()
    ranks = start_ranks()
    config = dataclasses.replace(KimiVLConfig.from_file(args.checkpoint / "config.json"), quantization=None)
    plan = [stage_and_deadline(text, started) for text in args.stages]
    dtype = torch.bfloat16 if ranks.device.type == "cuda" else torch.float32
    network = TrainedNetwork(config, device=ranks.device, dtype=dtype, budget=plan[0][0].budget)
    initialise(network, args.seed)
    if args.weights:
        start_from(network, args.weights)
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(network, ranks, plan[0][0].weight_decay, args.out / "metrics.jsonl")
    state = args.state / "state.safetensors"
    if state.exists():
        trainer.load_state(safetensors.torch.load_file(state, device=str(ranks.device)))
        print(f"rank {ranks.rank}: resumed at step {trainer.step}", flush=True)
    if ranks.device.type == "cuda" and not args.no_compile:
        network.compile_blocks()

    def save() -> None:
        if ranks.rank == 0:
            write_state(trainer, state)
            export(trainer, config, args.out / "checkpoint")

    for stage, deadline in plan:
        network.budget = stage.budget
        stream = batch_stream(stage, stage.mix, config, args, ranks, first_batch=trainer.step)
        validation = validation_batches(stage, config, args, ranks)
        loader = batches(stream, workers=args.workers, pin_memory=dtype == torch.bfloat16)
        trainer.train(stage, loader, deadline=deadline, validation=validation, save=save)
    if ranks.count > 1:
        dist.barrier()
        dist.destroy_process_group()
    print(f"rank {ranks.rank}: finished after {time.monotonic() - started:.0f} s", flush=True)


def start_ranks() -> Ranks:
    """This process's place: torchrun's environment if there is one, else alone on the first GPU or the CPU."""
    count, rank, local = (int(os.environ.get(name, default)) for name, default in (("WORLD_SIZE", 1), ("RANK", 0), ("LOCAL_RANK", 0)))
    device = torch.device("cuda", local) if torch.cuda.is_available() else torch.device("cpu")
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if count > 1:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return Ranks(rank, count, device)


def stage_and_deadline(text: str, started: float) -> tuple[Stage, float | None]:
    name, _, seconds = text.partition("@")
    path = Path(name) if name.endswith(".toml") else STAGES / f"{name}.toml"
    return Stage.from_file(path), started + float(seconds) if seconds else None


@torch.no_grad()
def start_from(network: TrainedNetwork, folder: Path) -> None:
    """Copy a checkpoint's weights into the network; the glyph head, which is not shipped, stays random."""
    loaded = dict(KimiVLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).named_parameters())
    for name, parameter in network.model.named_parameters():
        parameter.copy_(loaded[name])


def batch_stream(
    stage: Stage, mix: SceneMix, config: KimiVLConfig, args: argparse.Namespace, ranks: Ranks, *, first_batch: int
) -> BatchStream:
    return BatchStream(mix, config, stage.budget, args.checkpoint, args.data, rank=ranks.rank, first_batch=first_batch)


def validation_batches(stage: Stage, config: KimiVLConfig, args: argparse.Namespace, ranks: Ranks) -> dict[str, list[Batch]]:
    """Held-out fonts and words, one family at a time."""
    result = {}
    for family in stage.mix.families:
        mix = dataclasses.replace(stage.mix, families={family: 1.0}, split="val", seed=stage.mix.seed + 1000)
        stream = iter(batch_stream(stage, mix, config, args, ranks, first_batch=0))
        result[family] = [next(stream) for _ in range(VALIDATION_BATCHES)]
    return result


def write_state(trainer: Trainer, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    safetensors.torch.save_file({n: t.detach().cpu().contiguous() for n, t in trainer.state().items()}, part)
    os.replace(part, path)


def export(trainer: Trainer, config: KimiVLConfig, folder: Path) -> None:
    """The shipped form: int8 weights from the fp32 masters, without the glyph head."""
    masters = trainer.optimizer.masters
    names = dict(trainer.network.model.named_parameters())
    weights = {name: masters.get(f"model.{name}", parameter).detach().cpu() for name, parameter in names.items()}
    save_checkpoint(weights, config, folder, quantize="int8", max_shard_bytes=15 << 20)


if __name__ == "__main__":
    main()
