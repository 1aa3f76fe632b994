"""Train a checkpoint through one or more stages: `python -m kimi_vl.training.run --help`, or under torchrun for several GPUs.

Resumes from `--state` if there is a state, else from the weights in `--weights`, else from random weights. Killed at any moment and
started again with the same command, a run without deadlines ends with the very weights it would have had (tests/training/test_resume.py).
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
import torch.distributed as dist

from kimi_vl.checkpoint.save import save_checkpoint
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import ConfigError, KimiVLError
from kimi_vl.model import KimiVLForConditionalGeneration
from kimi_vl.training.loader import BatchStream, HeldOut, SceneMix, batches
from kimi_vl.training.network import TrainedNetwork, initialise
from kimi_vl.training.stage import Stage
from kimi_vl.training.state import Progress, StateFolder
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.trainer import SAVE_EVERY, Ranks, Trainer

STAGES = Path(__file__).parent / "stages"
STOPPED = 75  # EX_TEMPFAIL: come back and start the same command again


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
    parser.add_argument("--save-every", type=int, default=SAVE_EVERY, metavar="STEPS")
    parser.add_argument("--unquantised", action="store_true", help="also export bf16 weights at the end, to compare the int8 ones with")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--eager", action="store_true", help="do not record the training step as a CUDA graph")
    parser.add_argument("--force", action="store_true", help="resume although the settings have changed")
    return parser.parse_args()


def main() -> int:
    """Exit code: 0 finished, 2 refused (with the reason), 75 stopped by SIGTERM with everything saved."""
    args = arguments()
    try:
        with held_by_rank_zero(args.state):
            return run(args)
    except (KimiVLError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return 2


def held_by_rank_zero(folder: Path) -> AbstractContextManager[Any]:
    """The lock on a run's state, which its first process takes for all of them."""
    return StateFolder(folder) if int(os.environ.get("RANK", 0)) == 0 else nullcontext()


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    ranks = start_ranks()
    config = dataclasses.replace(KimiVLConfig.from_file(args.checkpoint / "config.json"), quantization=None)
    plan = [stage_and_deadline(text, began) for text in args.stages]
    if len({stage.optimizer for stage, _ in plan}) > 1:
        raise ConfigError("the stages of one run must share an optimizer; run the others on their own, from the weights of this one")
    trainer = new_trainer(plan[0][0], config, args, ranks)
    states = StateFolder(args.state)
    progress = resume(trainer, states, args, [stage for stage, _ in plan])
    if ranks.device.type == "cuda" and not args.no_compile:
        trainer.network.compile_blocks()

    def keep(progress: Progress, stage_step: int = 0) -> None:
        if ranks.rank == 0:
            states.save(trainer.step, trainer.state(), dataclasses.replace(progress, stage_step=stage_step))
            export(trainer, args.out / "checkpoint")

    def try_to_keep(progress: Progress, stage_step: int) -> None:
        """Between stages' ends a full disk costs no more than the state that did not fit: the next may."""
        try:
            keep(progress, stage_step)
        except OSError as error:
            print(
                f"training: step {trainer.step} was not saved: {error}; going on, the state before is intact", file=sys.stderr, flush=True
            )

    for stage, deadline in plan:
        if stage.name in progress.finished:
            continue
        start = progress.stage_step if progress.stage == stage.name else 0
        current = Progress(finished=progress.finished, stage=stage.name, stage_settings=settings_of(stage, args), world_size=ranks.count)
        prepare(trainer.network, stage)
        stream = batch_stream(stage, stage.mix, config, args, ranks, first_batch=trainer.step)
        over = trainer.train(
            stage,
            batches(stream, workers=args.workers, pin_memory=ranks.device.type == "cuda"),
            start=start,
            deadline=deadline,
            held_out=held_out(stage, config, args, ranks).batches,
            save=partial(try_to_keep, current),
            save_every=args.save_every,
            stopping=asked.is_set,
        )
        if not over:
            return STOPPED
        progress = Progress(finished=(*progress.finished, stage.name), world_size=ranks.count)
        keep(progress)
    if args.unquantised and ranks.rank == 0:
        export(trainer, args.out / "checkpoint-bf16", quantize=None)
    if ranks.count > 1:
        dist.barrier()
        dist.destroy_process_group()
    print(f"rank {ranks.rank}: finished after {time.monotonic() - began:.0f} s", flush=True)
    return 0


def prepare(network: TrainedNetwork, stage: Stage) -> None:
    """Bring the network into the form that a stage trains it in."""
    network.budget = stage.budget
    network.recompute_blocks(stage.recompute)
    if stage.rope_theta is not None:
        network.change_rope(stage.rope_theta)


def new_trainer(first: Stage, config: KimiVLConfig, args: argparse.Namespace, ranks: Ranks) -> Trainer:
    """Random weights from the seed, or those of `--weights`."""
    dtype = torch.bfloat16 if ranks.device.type == "cuda" else torch.float32
    network = TrainedNetwork(config, device=ranks.device, dtype=dtype, budget=first.budget)
    initialise(network, args.seed)
    if args.weights:
        start_from(network, args.weights)
    args.out.mkdir(parents=True, exist_ok=True)
    records = False if args.eager else None
    return Trainer(network, ranks, first.weight_decay, args.out / "metrics.jsonl", first.optimizer, records=records)


def resume(trainer: Trainer, states: StateFolder, args: argparse.Namespace, plan: list[Stage]) -> Progress:
    """Load the newest state, if there is one. Raises: ConfigError if its unfinished stage is not in the plan or has other settings."""
    saved = states.newest()
    if saved is None:
        return Progress()
    tensors, progress = saved
    if progress.stage and not args.force:
        stages = [stage for stage in plan if stage.name == progress.stage]
        if not stages:
            raise ConfigError(
                f"the state is in the middle of stage {progress.stage}, which is not asked for; name it first, or pass --force"
            )
        progress.check_unchanged(settings_of(stages[0], args), trainer.ranks.count)
    trainer.load_state({name: tensor.to(trainer.ranks.device) for name, tensor in tensors.items()})
    print(f"rank {trainer.ranks.rank}: resumed at step {trainer.step}", flush=True)
    return progress


def settings_of(stage: Stage, args: argparse.Namespace) -> dict[str, Any]:
    """All that a stage's outcome depends on beside the code, as it reads back from JSON."""
    data = DataPack.load(args.data) if args.data else DataPack.builtin()
    return json.loads(json.dumps({**dataclasses.asdict(stage), "data": data.digest, "seed": args.seed}))


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
    model = KimiVLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    network.change_rope(model.config.text_config.rope_theta)
    loaded = dict(model.named_parameters())
    for name, parameter in network.model.named_parameters():
        parameter.copy_(loaded[name])


def batch_stream(
    stage: Stage, mix: SceneMix, config: KimiVLConfig, args: argparse.Namespace, ranks: Ranks, *, first_batch: int
) -> BatchStream:
    return BatchStream(mix, config, stage.budget, args.checkpoint, args.data, rank=ranks.rank, first_batch=first_batch)


def held_out(stage: Stage, config: KimiVLConfig, args: argparse.Namespace, ranks: Ranks) -> HeldOut:
    """Fonts and words that are not trained on, one family at a time: 64 pages or several hundred lines each."""
    streams = {}
    for family in stage.mix.families:
        mix = dataclasses.replace(stage.mix, families={family: 1.0}, split="val", seed=stage.mix.seed + 1000, noise=0.0)
        streams[family] = batch_stream(stage, mix, config, args, ranks, first_batch=0)
    return HeldOut(streams, workers=args.workers)


def export(trainer: Trainer, folder: Path, quantize: Literal["int8"] | None = "int8") -> None:
    """The shipped form: int8 weights, or bf16 ones, without the glyph head."""
    model, masters = trainer.network.model, trainer.shipped()
    weights = {name: masters.get(f"model.{name}", parameter).detach().cpu() for name, parameter in model.named_parameters()}
    dtype = None if quantize else torch.bfloat16
    save_checkpoint(weights, model.config, folder, quantize=quantize, dtype=dtype, max_shard_bytes=15 << 20)


if __name__ == "__main__":
    sys.exit(main())
