"""Reinforcement learning from checkable answers: `python -m kimi_vl.training.rl --help`, or under torchrun for several GPUs.

Kimi k1.5's recipe (arXiv 2501.12599, §2.3). Each iteration samples several replies to each problem with the weights as they are, rewards
what is right and, after a while, what is short, and makes one or two optimiser steps of online policy mirror descent. Killed at any moment
and started again with the same command, a run without a deadline ends with the very weights it would have had.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.distributed as dist

from kimi_vl.config import KimiVLConfig
from kimi_vl.engine.batch import BatchEngine, BatchPrompt, Sampled
from kimi_vl.errors import KimiVLError
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.loader import BatchStream, batches
from kimi_vl.training.network import TrainedNetwork, initialise
from kimi_vl.training.objectives import advantages, clipped, drift, mirror_descent
from kimi_vl.training.packing import Batch
from kimi_vl.training.problems import CHUNK, Chooser, Problem, ProblemStream, problems
from kimi_vl.training.reinforcement import Reinforcement
from kimi_vl.training.rewards import Judge, Verdict, rewards
from kimi_vl.training.rollouts import Group, RolloutBatch, pack_groups, reply_log_probs
from kimi_vl.training.run import STAGES, STOPPED, export, held_by_rank_zero, start_from, start_ranks
from kimi_vl.training.state import Progress, StateFolder
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.trainer import Ranks, Trainer

Z95 = 1.959964  # the normal distribution's 97.5 % point
CLOSING = 20.0  # seconds before the deadline that are kept for saving and exporting


class Engine(Protocol):
    """What samples replies; see `BatchEngine.generate`."""

    def generate(
        self, prompts: Sequence[BatchPrompt], *, samples: int, temperature: float, max_tokens: int, seed: int
    ) -> list[list[Sampled]]: ...


@dataclass(frozen=True)
class Answered:
    """A problem with its replies and what they were worth."""

    problem: Problem
    replies: list[Sampled]
    verdicts: list[Verdict]
    rewards_K: np.ndarray


class PolicyTrainer:
    """Owns the policy and improves it, an iteration at a time. The state of optimiser, router and count of iterations is `Trainer`'s."""

    def __init__(
        self,
        trainer: Trainer,
        settings: Reinforcement,
        tokenizer: Tokenizer,
        engine: Engine,
        source: Iterator[Problem],
        replay: Iterator[Batch],
        *,
        seed: int,
    ) -> None:
        self.trainer, self.settings, self.engine = trainer, settings, engine
        self.network, self.ranks = trainer.network, trainer.ranks
        self.source, self.replay, self.seed = source, replay, seed
        self.judge = Judge(tokenizer, needs_thinking=settings.needs_thinking)
        self.chooser = Chooser(settings.problems)
        self.lr_scale = 1.0

    @property
    def iteration(self) -> int:
        """How many are done."""
        return self.trainer.step

    def iterate(self) -> dict[str, Any]:
        """One iteration; its log record."""
        iteration, settings = self.iteration, self.settings
        clock = Stopwatch()
        candidates = list(itertools.islice(self.source, candidates_per_iteration(settings)))
        asked = self.chooser.choose(candidates, settings.prompts, iteration, self.ranks.rank)
        clock.lap("wait_s")
        answered = self.answer(asked, iteration)
        clock.lap("sample_s")
        health = self.improve(answered, iteration)
        clock.lap("train_s")
        lr = settings.lr * self.lr_scale
        self.adapt(health["kl"])
        counts = self.chooser.counts(asked, [[v.right for v in a.verdicts] for a in answered])
        self.chooser.observe(*(self.ranks.mean(count.to(self.ranks.device)).cpu() * self.ranks.count for count in counts))
        self.trainer.step += 1
        record = {"kind": "iteration", "iteration": iteration + 1, **self.summary(answered), **health}
        weight = settings.length_weight_at(iteration)
        return record | clock.laps | {"lr": lr, "w": weight, "step_limit": self.chooser.step_limit(iteration)}

    # Sampling --------------------------------------------------------------------------------------------------------

    def answer(self, asked: Sequence[Problem], iteration: int) -> list[Answered]:
        """Sample the replies to each problem and reward them."""
        settings = self.settings
        seed = int(np.random.SeedSequence([self.seed, self.ranks.rank, iteration]).generate_state(1)[0])
        replies = self.generate(asked, samples=settings.samples, temperature=settings.temperature, seed=seed)
        weight = settings.length_weight_at(iteration)
        answered = []
        for problem, sampled in zip(asked, replies, strict=True):
            verdicts = [self.judge(problem.answer, reply.token_ids) for reply in sampled]
            values = rewards(verdicts, [len(reply.token_ids) for reply in sampled], weight)
            answered.append(Answered(problem, sampled, verdicts, values))
        return answered

    def generate(self, asked: Sequence[Problem], *, samples: int, temperature: float, seed: int) -> list[list[Sampled]]:
        dtype, device = self.network.model.dtype, self.ranks.device
        prompts = []
        for problem in asked:
            # The very arithmetic of the training forward: in bf16 another order of operations is another picture.
            pixels = (problem.patches.to(device).to(dtype) / 127.5 - 1).unflatten(1, (3, 14, 14))
            prompts.append(BatchPrompt(problem.input_ids, *((pixels, problem.grid_hws) if problem.grid_hws else ())))
        max_tokens = self.settings.max_tokens
        return self.engine.generate(prompts, samples=samples, temperature=temperature, max_tokens=max_tokens, seed=seed)

    def summary(self, answered: Sequence[Answered]) -> dict[str, float]:
        """Means over the replies of all ranks."""
        verdicts = [verdict for a in answered for verdict in a.verdicts]
        sampled = [reply for a in answered for reply in a.replies]
        log_probs = np.concatenate([reply.logprobs for reply in sampled])
        values = {
            "reward": np.mean([a.rewards_K for a in answered]),
            "accuracy": np.mean([v.right for v in verdicts]),
            "well_formed": np.mean([v.well_formed for v in verdicts]),
            "steps_hold": np.mean([v.steps_hold for v in verdicts]),
            "cut": np.mean([reply.finish_reason == "length" for reply in sampled]),
            "thinking_tokens": np.mean([v.thinking_tokens for v in verdicts]),
            "answer_tokens": np.mean([v.answer_tokens for v in verdicts]),
            "entropy": -log_probs.mean(),  # of a token, estimated from the tokens that were drawn
            "useless": np.mean([np.ptp(a.rewards_K) < 1e-9 for a in answered]),  # problems whose replies all earned the same
            "steps": np.mean([a.problem.steps for a in answered]),
        }
        means = self.ranks.mean(torch.tensor([float(v) for v in values.values()], device=self.ranks.device)).tolist()
        return {key: round(mean, 4) for key, mean in zip(values, means, strict=True)}

    # Training --------------------------------------------------------------------------------------------------------

    def improve(self, answered: Sequence[Answered], iteration: int) -> dict[str, float]:
        """All optimiser steps of an iteration. Log-probabilities at its start are computed anew, by the forward that is trained."""
        settings = self.settings
        if settings.resets_optimizer:
            self.trainer.optimizer.forget()
        groups = self.groups(answered)
        np.random.default_rng([self.seed, self.ranks.rank, iteration, 2]).shuffle(groups)
        parts = [
            [
                rollout.to(self.ranks.device)
                for rollout in pack_groups(groups[m :: settings.minibatches], self.network.model.config, settings.budget)
            ]
            for m in range(settings.minibatches)
        ]
        with torch.no_grad():
            starts = [[reply_log_probs(self.network, rollout, settings.temperature) for rollout in part] for part in parts]
        losses = []
        for _ in range(settings.passes):
            for part, start in zip(parts, starts, strict=True):
                losses.append(self.step(part, start))
        return self.health(parts, starts, torch.stack(losses))

    def groups(self, answered: Sequence[Answered]) -> list[Group]:
        """What there is to learn from: problems whose replies earned different rewards."""
        groups = []
        for a in answered:
            lengths = [len(reply.token_ids) for reply in a.replies]
            values = advantages(a.rewards_K, [v.right for v in a.verdicts], lengths, self.settings.algorithm)
            if any(values):
                groups.append(Group(a.problem, [r.token_ids for r in a.replies], [r.logprobs for r in a.replies], values))
        return groups

    def step(self, part: Sequence[RolloutBatch], start: Sequence[torch.Tensor]) -> torch.Tensor:
        """One optimiser step on a minibatch, the mean over its replies on all ranks; (replay loss, gradient norm)."""
        settings, device = self.settings, self.ranks.device
        replies = torch.tensor(float(sum(rollout.num_replies for rollout in part)), device=device)
        replies = self.ranks.mean(replies).clamp_min(1)
        for rollout, start_N in zip(part, start, strict=True):
            log_probs_N = reply_log_probs(self.network, rollout, settings.temperature)
            (self.objective(rollout, log_probs_N, start_N).sum() / replies).backward()
        replayed = torch.zeros((), device=device)
        if settings.replay_weight:
            replayed = self.network(next(self.replay).to(device), 0.0).total
            (settings.replay_weight * replayed).backward()
        return torch.stack((replayed.detach(), self.trainer.descend(settings.lr * self.lr_scale, settings.clip_norm)))

    def objective(self, rollout: RolloutBatch, log_probs_N: torch.Tensor, start_N: torch.Tensor) -> torch.Tensor:
        """The loss of each reply, [J]."""
        settings, advantages_J = self.settings, rollout.advantages_J
        if settings.algorithm == "mirror_descent":
            return mirror_descent(rollout.sums(log_probs_N), rollout.sums(start_N), advantages_J, settings.tau)
        if settings.algorithm == "grpo":
            advantages_N = torch.cat((advantages_J, advantages_J.new_zeros(1))).index_select(0, rollout.reply_at_N)
            return rollout.means(clipped(log_probs_N, start_N, advantages_N, settings.clip_ratio))
        return -advantages_J * rollout.means(log_probs_N)

    @torch.no_grad()
    def health(self, parts: list[list[RolloutBatch]], starts: list[list[torch.Tensor]], losses: torch.Tensor) -> dict[str, float]:
        """How far sampler and trainer are apart, and how far the iteration moved the policy (on one batch)."""
        pairs = [(r, s) for part, start in zip(parts, starts, strict=True) for r, s in zip(part, start, strict=True)]
        gap = sum((float(((s - r.sampled_N).abs() * r.batch.weights_N).sum()) for r, s in pairs), 0.0)
        tokens = sum(float(r.lengths_J.sum()) for r, _ in pairs)
        moved = 0.0
        if pairs:
            rollout, start_N = pairs[0]
            now_N = reply_log_probs(self.network, rollout, self.settings.temperature)
            moved = float(drift(now_N, start_N).sum() / rollout.lengths_J.sum())
        replayed, norm = losses.mean(0).tolist()
        values = {"logprob_gap": gap / max(1.0, tokens), "kl": moved, "replay_loss": replayed, "gradient_norm": norm}
        means = self.ranks.mean(torch.tensor(list(values.values()), device=self.ranks.device)).tolist()
        return {key: round(mean, 6) for key, mean in zip(values, means, strict=True)}

    def adapt(self, kl: float) -> None:
        """A first step of Adam moves every weight by the learning rate, however small its gradient: watch what that does to the policy."""
        if self.settings.kl_limit:
            self.lr_scale = self.lr_scale / 2 if kl > self.settings.kl_limit else min(1.0, self.lr_scale * 1.1)

    # Measuring -------------------------------------------------------------------------------------------------------

    def evaluate(self, split: str, held_out: Sequence[Problem]) -> dict[str, Any]:
        """Greedy answers to held-out problems, shared among the ranks; accuracy and thinking with their 95 % intervals."""
        own = held_out[self.ranks.rank :: self.ranks.count]
        began = time.monotonic()
        replies = self.generate(own, samples=1, temperature=0.0, seed=0) if own else []
        families = sorted({p.family for p in held_out})
        sums = torch.zeros(len(families), 7, dtype=torch.float64)
        for problem, (reply,) in zip(own, replies, strict=True):
            v = self.judge(problem.answer, reply.token_ids)
            row = (1, v.right, v.well_formed, v.steps_hold, v.thinking_tokens, v.thinking_tokens**2, v.answer_tokens)
            sums[families.index(problem.family)] += torch.tensor(row, dtype=torch.float64)
        sums = (self.ranks.mean(sums.to(self.ranks.device)) * self.ranks.count).cpu()
        record = {"kind": "evaluation", "split": split, "iteration": self.iteration, "seconds": round(time.monotonic() - began, 1)}
        return record | {name: estimates(row) for name, row in [("all", sums.sum(0)), *zip(families, sums, strict=True)]}

    # State -----------------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, torch.Tensor]:
        own = {"success": self.chooser.success_FS, "lr_scale": torch.tensor(self.lr_scale, dtype=torch.float64)}
        return self.trainer.state() | own

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        self.trainer.load_state({name: tensor.to(self.ranks.device) for name, tensor in state.items()})
        self.chooser.success_FS.copy_(state["success"])
        self.lr_scale = float(state["lr_scale"])


def estimates(sums: torch.Tensor) -> dict[str, Any]:
    """Shares and means with 95 % intervals as [value, low, high], from the sums over n replies of (1, right, well formed, steps hold,
    thinking tokens, their squares, answer tokens)."""
    n, right, well_formed, hold, thinking, squares, answer = sums.tolist()
    n = max(1.0, n)
    p, spread, mean = right / n, Z95**2 / n, thinking / n
    centre, half = (p + spread / 2) / (1 + spread), Z95 * (p * (1 - p) / n + spread / (4 * n)) ** 0.5 / (1 + spread)  # Wilson
    error = Z95 * (max(0.0, squares / n - mean**2) / n) ** 0.5
    return {
        "n": round(n),
        "accuracy": [round(x, 4) for x in (p, max(0.0, centre - half), min(1.0, centre + half))],
        "thinking_tokens": [round(x, 2) for x in (mean, mean - error, mean + error)],
        "answer_tokens": round(answer / n, 2),
        "well_formed": round(well_formed / n, 4),
        "steps_hold": round(hold / n, 4),
    }


class Stopwatch:
    """Seconds since the lap before."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        now = time.monotonic()
        self.laps[name], self._last = round(now - self._last, 3), now


def candidates_per_iteration(settings: Reinforcement) -> int:
    """Whole chunks, so that an iteration's candidates are the same wherever a run was resumed."""
    return CHUNK * -(-settings.prompts * settings.problems.candidates // CHUNK)


# The command -------------------------------------------------------------------------------------------------------------


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Improve a Kimi-VL checkpoint by reinforcement learning.")
    parser.add_argument("settings", help="settings file or name")
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder with the tokenizer")
    parser.add_argument("--weights", type=Path, required=True, help="checkpoint folder to start from")
    parser.add_argument("--data", type=Path, help="data pack; without one the small built-in")
    parser.add_argument("--state", type=Path, required=True, help="folder for the resumable state")
    parser.add_argument("--out", type=Path, required=True, help="folder for log and int8 checkpoint")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help='a setting in TOML, e.g. tau=0.5 or algorithm="grpo"'
    )
    parser.add_argument("--deadline", type=float, metavar="SECONDS", help="since start, by which everything is written")
    parser.add_argument("--workers", type=int, default=0, help="rendering processes per rank")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--save-every", type=int, default=100, metavar="ITERATIONS")
    parser.add_argument("--unquantised", action="store_true", help="also export bf16 weights at the end, to compare the int8 ones with")
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--force", action="store_true", help="resume although the settings have changed")
    return parser.parse_args()


def main() -> int:
    """Exit code: 0 finished, 2 refused (with the reason), 75 stopped by SIGTERM with everything saved."""
    args = arguments()
    try:
        with held_by_rank_zero(args.state):
            return run(args)
    except (KimiVLError, OSError) as error:
        print(f"reinforcement: {error}", file=sys.stderr)
        return 2


def run(args: argparse.Namespace) -> int:
    began = time.monotonic()
    asked = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: asked.set())
    path = Path(args.settings) if args.settings.endswith(".toml") else STAGES / f"{args.settings}.toml"
    settings = Reinforcement.from_file(path, args.set)
    ranks = start_ranks()
    trainer = new_trainer(settings, args, ranks)
    states = StateFolder(args.state)
    progress = Progress(stage=settings.name, stage_settings=settings_of(settings, args), world_size=ranks.count)
    saved = states.newest()
    if saved is not None and not args.force:
        saved[1].check_unchanged(progress.stage_settings, ranks.count)
    done = 0 if saved is None else int(saved[0]["trainer_step"])
    policy = new_policy(trainer, settings, args, first=done)
    if saved is not None:
        policy.load_state(saved[0])
        print(f"rank {ranks.rank}: resumed after iteration {done}", flush=True)
    if ranks.device.type == "cuda" and not args.no_compile:
        trainer.network.compile_blocks()

    def keep() -> None:
        if ranks.rank == 0:
            states.save(policy.iteration, policy.state(), dataclasses.replace(progress, stage_step=policy.iteration))
            export(trainer, args.out / "checkpoint")

    def try_to_keep() -> None:
        """A full disk costs no more than the state that did not fit: the next may."""
        try:
            keep()
        except OSError as error:
            print(f"reinforcement: iteration {policy.iteration} was not saved: {error}; going on", file=sys.stderr, flush=True)

    deadline = None if args.deadline is None else began + args.deadline
    over = train(policy, held_out(settings, args), try_to_keep, args.save_every, deadline, asked)
    keep()
    if args.unquantised and ranks.rank == 0:
        export(trainer, args.out / "checkpoint-bf16", quantize=None)
    if ranks.count > 1:
        dist.barrier()
        dist.destroy_process_group()
    print(f"rank {ranks.rank}: {policy.iteration} iterations after {time.monotonic() - began:.0f} s", flush=True)
    return 0 if over else STOPPED


def train(
    policy: PolicyTrainer,
    measured: dict[str, list[Problem]],
    keep: Callable[[], None],
    keep_every: int,
    deadline: float | None,
    asked: threading.Event,
) -> bool:
    """All iterations that are left, or that fit before the deadline; returns False when asked to leave earlier.

    Split "val" is looked at every few iterations, "test" only when the command begins and ends.
    """
    trainer, settings = policy.trainer, policy.settings

    def evaluate(*splits: str) -> float:
        began = time.monotonic()
        for split in splits:
            trainer.write(policy.evaluate(split, measured[split]))
        return time.monotonic() - began

    evaluating, slowest = evaluate("val", "test"), 0.0
    while policy.iteration < settings.iterations:
        began = time.monotonic()
        out_of_time = deadline is not None and began + 1.5 * slowest + 1.5 * evaluating + CLOSING > deadline
        what = trainer.agreed(1 if asked.is_set() else 2 if out_of_time else 0)
        if what == 1:
            return False
        if what == 2:
            break
        trainer.write(policy.iterate())
        if policy.iteration % settings.validate_every == 0 and policy.iteration < settings.iterations:
            evaluate("val")
        if policy.iteration % keep_every == 0:
            keep()
        slowest = max(0.9 * slowest, time.monotonic() - began)
    evaluate("val", "test")
    return True


def new_trainer(settings: Reinforcement, args: argparse.Namespace, ranks: Ranks) -> Trainer:
    """The policy with the weights to start from. What is not trained takes no part in the optimiser."""
    config = dataclasses.replace(KimiVLConfig.from_file(args.weights / "config.json"), quantization=None)
    dtype = torch.bfloat16 if ranks.device.type == "cuda" else torch.float32
    network = TrainedNetwork(config, device=ranks.device, dtype=dtype, budget=settings.budget)
    initialise(network, args.seed)
    start_from(network, args.weights)
    if not settings.trains_vision:
        for module in (network.model.vision_tower, network.model.multi_modal_projector):
            module.requires_grad_(False)
    network.glyph_head.requires_grad_(False)
    args.out.mkdir(parents=True, exist_ok=True)
    return Trainer(network, ranks, 0.0, args.out / "metrics.jsonl", "adamw")


def new_policy(trainer: Trainer, settings: Reinforcement, args: argparse.Namespace, *, first: int) -> PolicyTrainer:
    """Engine, problems and replay of one rank, from iteration `first` on. A fifth of the workers renders for the replay."""
    rank, model = trainer.ranks.rank, trainer.network.model
    tokenizer = Tokenizer.from_files(args.checkpoint / "tiktoken.model", args.checkpoint / "tokenizer_config.json")
    engine = BatchEngine(
        model,
        rows=settings.prompts * settings.samples,
        capacity=settings.problems.max_prompt + settings.max_tokens,
        end_ids=tokenizer.end_ids,
    )
    chunks = candidates_per_iteration(settings) // CHUNK
    stream = ProblemStream(settings.problems, args.checkpoint, args.data, split="train", rank=rank, first=first * chunks)
    steps = settings.passes * settings.minibatches
    replay = BatchStream(settings.replay, model.config, settings.budget, args.checkpoint, args.data, rank=rank, first_batch=first * steps)
    for_replay = -(-args.workers // 5) if settings.replay_weight else 0
    source = problems(stream, workers=max(args.workers - for_replay, min(args.workers, 1)))
    replayed = batches(replay, workers=for_replay, pin_memory=trainer.ranks.device.type == "cuda")
    return PolicyTrainer(trainer, settings, tokenizer, engine, source, replayed, seed=args.seed)


def held_out(settings: Reinforcement, args: argparse.Namespace) -> dict[str, list[Problem]]:
    """The same problems for every run, whatever its seeds and its number of ranks; of splits that no run trains on."""
    mix = dataclasses.replace(settings.problems, seed=settings.validation_seed)
    found: dict[str, list[Problem]] = {}
    for split in ("val", "test"):
        stream = problems(ProblemStream(mix, args.checkpoint, args.data, split=split), workers=args.workers)
        # Copied, because the workers' memory is shared and scarce.
        taken = itertools.islice(stream, settings.validation_problems)
        found[split] = [dataclasses.replace(problem, patches=problem.patches.clone()) for problem in taken]
    return found


def settings_of(settings: Reinforcement, args: argparse.Namespace) -> dict[str, Any]:
    """All that a run's outcome depends on beside code and weights, as it reads back from JSON."""
    data = DataPack.load(args.data) if args.data else DataPack.builtin()
    return json.loads(json.dumps({**dataclasses.asdict(settings), "data": data.digest, "seed": args.seed}))


if __name__ == "__main__":
    sys.exit(main())
