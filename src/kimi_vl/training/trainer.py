"""The training loop: one process per device, data parallel, resumable.

Gradients of all parameters travel as one fp32 vector (125 MB for nano, about a millisecond between GPUs of one host), so that
averaging, clipping and the guard against non-finite values are each one operation and nothing waits for the host.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from kimi_vl.model.experts import Router
from kimi_vl.ops.attention import varlen_attention_flash
from kimi_vl.training.flops import FlopCounter, peak_flops
from kimi_vl.training.network import Losses, TrainedNetwork
from kimi_vl.training.optim import MuonAdamW, OptimizerName
from kimi_vl.training.packing import TASKS, Batch
from kimi_vl.training.stage import Stage

LOG_EVERY = 20
VALIDATE_EVERY = 2000  # twenty families take about five seconds
SAVE_EVERY = 2000
Update = Callable[[Batch, float | torch.Tensor], tuple[Losses, torch.Tensor]]  # (batch, learning rate) -> losses, gradient's norm
EAGER_STEPS = 3  # of a stage before its step is recorded: what is compiled or allocated once must have been


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together."""

    rank: int
    count: int
    device: torch.device

    def mean(self, tensor: torch.Tensor) -> torch.Tensor:
        """In place, the mean over all ranks."""
        if self.count > 1:
            dist.all_reduce(tensor)
            tensor /= self.count
        return tensor


class Trainer:
    """Owns network, optimiser and the count of steps; a stage tells it what to do."""

    def __init__(
        self,
        network: TrainedNetwork,
        ranks: Ranks,
        weight_decay: float,
        log: Path | None,
        optimizer: OptimizerName = "muon",
        *,
        records: bool | None = None,
    ) -> None:
        """`records`: whether a stage's step becomes one CUDA graph; None: on a GPU, where its attention does not ask the host."""
        self.network, self.ranks = network, ranks
        self.records = network.model.ops.varlen_attention is varlen_attention_flash if records is None else records
        self.optimizer = MuonAdamW(network.named_parameters(), weight_decay=weight_decay, optimizer=optimizer)
        self.averages: dict[str, torch.Tensor] = {}  # of the masters, in stages that ask for them
        self.step = 0
        self.log = log
        self.routers = [m for m in network.modules() if isinstance(m, Router)]

    def train(
        self,
        stage: Stage,
        stream: Iterator[Batch],
        *,
        start: int = 0,
        deadline: float | None = None,
        held_out: Callable[[], Mapping[str, Batch]] = dict,
        save: Callable[[int], None] = lambda stage_step: None,
        save_every: int = SAVE_EVERY,
        stopping: Callable[[], bool] = lambda: False,
    ) -> bool:
        """Run a stage from step `start` to its end; returns whether it is over, False when `stopping` asked to leave earlier.

        With a deadline (rank 0's time.monotonic) the schedule is bent to end there: the number of steps is estimated again at every log
        line from the speed so far. Without one the run is a pure function of its inputs, wherever it was stopped and resumed.
        `save(stage_step)` is called every `save_every` steps and before leaving.
        """
        began = time.monotonic()
        update: Update = partial(self.device_update, stage)
        meter = Meter(FlopCounter(self.network.model), peak_flops(self.ranks.device))
        total_steps, done = stage.steps, start
        while done < total_steps:
            waiting = time.monotonic()
            batch = next(stream).to(self.ranks.device)
            meter.waited += time.monotonic() - waiting
            if self.records and done - start == EAGER_STEPS:
                update = RecordedUpdate(update, batch)
            losses, gradient_norm = update(batch, stage.lr_at(done, total_steps))
            self.step += 1
            meter.add(losses, gradient_norm, batch)
            done += 1
            if done % LOG_EVERY == 0 or done == total_steps:
                elapsed = time.monotonic() - began
                left = float("inf") if deadline is None else (deadline - began - elapsed) / (elapsed / (done - start))
                total_steps = self.agreed(int(min(stage.steps, done + max(0.0, left))))
                self.write(meter.flush(self.ranks, stage, self.step, done, elapsed) | {"lr": stage.lr_at(done - 1, total_steps)})
            if done % VALIDATE_EVERY == 0:
                self.write(self.validate(held_out(), stage))
            if self._asked_to_stop(done, stopping):
                save(done)
                return False
            if done % save_every == 0:
                save(done)
        self.write(self.validate(held_out(), stage))
        return True

    def _asked_to_stop(self, done: int, stopping: Callable[[], bool]) -> bool:
        """Alone at every step; several ranks ask rank 0 now and then, because asking waits for all of them."""
        if self.ranks.count == 1:
            return stopping()
        return done % LOG_EVERY == 0 and bool(self.agreed(int(stopping())))

    def update(self, batch: Batch, stage: Stage, lr: float) -> tuple[Losses, torch.Tensor]:
        """One optimiser step on one batch per rank; the losses, and the gradient's norm before clipping."""
        result = self.device_update(stage, batch, lr)
        self.step += 1
        return result

    def device_update(self, stage: Stage, batch: Batch, lr: float | torch.Tensor) -> tuple[Losses, torch.Tensor]:
        """All of a step that happens on the device; asks the host for nothing."""
        losses = self.network(batch, stage.glyph_weight)
        losses.total.backward()
        losses.total = losses.total.detach()
        self.optimizer.weight_decay = stage.weight_decay
        norm = self.descend(lr, stage.clip_norm)
        self._balance(losses.expert_load, stage.balance_rate)
        self._average(stage.ema_decay)
        return losses, norm

    def descend(self, lr: float | torch.Tensor, clip_norm: float) -> torch.Tensor:
        """Step along the gradients that lie in the parameters, averaged over ranks and clipped; returns their norm before that."""
        masters = self.optimizer.masters
        flat = self.ranks.mean(torch.cat([self.gradient(name) for name in masters]))
        self.network.zero_grad(set_to_none=True)
        norm = flat.norm()
        # A non-finite gradient is skipped without asking the host: the update becomes zero.
        scale = torch.where(norm.isfinite(), (clip_norm / (norm + 1e-6)).clamp(max=1.0), 0.0)
        pieces = (flat.nan_to_num(0.0, 0.0, 0.0) * scale).split([master.numel() for master in masters.values()])
        self.optimizer.step(lr, {n: piece.view_as(masters[n]) for n, piece in zip(masters, pieces, strict=True)})
        return norm

    def gradient(self, name: str) -> torch.Tensor:
        """The flat fp32 gradient of a parameter; zero where the loss did not reach it."""
        gradient = self.optimizer.parameters[name].grad
        return torch.zeros_like(self.optimizer.masters[name]).flatten() if gradient is None else gradient.flatten().float()

    def _balance(self, load_LE: torch.Tensor, rate: float) -> None:
        """Moonlight's aux-free balancing: experts with less than the mean load gain bias, the others lose it, without drift."""
        if rate == 0 or not self.routers:
            return
        self.ranks.mean(load_LE)
        direction = (load_LE.mean(-1, keepdim=True) - load_LE).sign()
        direction -= direction.mean(-1, keepdim=True)
        for router, direction_E in zip(self.routers, direction, strict=True):
            router.e_score_correction_bias.data.add_(direction_E, alpha=rate)

    def _average(self, decay: float) -> None:
        """Moving averages of the masters, from the first step that wants them; forgotten by one that does not."""
        masters = self.optimizer.masters
        if not decay:
            self.averages = {}
        elif not self.averages:
            self.averages = {name: master.clone() for name, master in masters.items()}
        else:
            torch._foreach_lerp_(list(self.averages.values()), list(masters.values()), 1 - decay)

    def shipped(self) -> dict[str, torch.Tensor]:
        """The weights to export: averages where the stage keeps them, else the fp32 masters."""
        return self.averages or self.optimizer.masters

    @torch.no_grad()
    def validate(self, held_out: Mapping[str, Batch], stage: Stage) -> dict[str, Any]:
        """Teacher-forced loss and next-token accuracy per task on held-out scenes, by scene family."""
        result: dict[str, Any] = {"kind": "validation", "step": self.step, "stage": stage.name}
        self.network.eval()
        for family, batch in held_out.items():
            losses = self.network(batch.to(self.ranks.device), stage.glyph_weight)
            sums = torch.stack((losses.task_loss, losses.task_right, losses.task_count))
            loss, right, count = self.ranks.mean(sums).tolist()
            result[family] = {
                task: {"loss": round(loss[i] / count[i], 4), "accuracy": round(right[i] / count[i], 4)}
                for i, task in enumerate(TASKS)
                if count[i]
            } | {"glyph_accuracy": round(float(self.ranks.mean(losses.glyph_right)), 4)}
        self.network.train()
        return result

    def agreed(self, number: int) -> int:
        """Rank 0's number: clocks and start times differ, and ranks that stop at different steps wait for each other for ever."""
        agreed = torch.tensor(number, device=self.ranks.device)
        if self.ranks.count > 1:
            dist.broadcast(agreed, 0)
        return int(agreed)

    def write(self, record: dict[str, Any]) -> None:
        if self.ranks.rank == 0 and self.log is not None:
            line = json.dumps(record)
            with self.log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            print(line, flush=True)

    def state(self) -> dict[str, torch.Tensor]:
        """All tensors a bitwise resume needs."""
        biases = {f"bias/{n}": p.detach() for n, p in self.network.named_parameters() if n.endswith("e_score_correction_bias")}
        averages = {f"average/{n}": average for n, average in self.averages.items()}
        own = {"trainer_step": torch.tensor(self.step), "rope_theta": torch.tensor(self.network.rope_theta, dtype=torch.float64)}
        return self.optimizer.state() | biases | averages | own

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        self.optimizer.load_state(state)
        for name, parameter in self.network.named_parameters():
            if name.endswith("e_score_correction_bias"):
                parameter.data.copy_(state[f"bias/{name}"])
        self.averages = {n: state[f"average/{n}"].clone() for n in self.optimizer.masters if f"average/{n}" in state}
        self.network.change_rope(float(state["rope_theta"]))
        self.step = int(state["trainer_step"])


class RecordedUpdate:
    """An update as one CUDA graph, gradient exchange and optimiser included.

    Kernel by kernel, a core beside fifteen processes that render needed 108 ms to launch nano's step; recorded it takes the GPU's 70.
    """

    def __init__(self, update: Update, example: Batch) -> None:
        """Records without executing. `update` must have run before; what it updates stays where it is in memory."""
        self.batch = Batch(**{f.name: getattr(example, f.name).clone() for f in fields(example)})
        self.lr = torch.zeros((), dtype=torch.float64, device=example.pixels.device)
        self.graph = torch.cuda.CUDAGraph()
        # Threads that pin the next batches' memory may go on calling the driver.
        with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
            self.losses, self.norm = update(self.batch, self.lr)

    def __call__(self, batch: Batch, lr: float | torch.Tensor) -> tuple[Losses, torch.Tensor]:
        for field in fields(batch):
            getattr(self.batch, field.name).copy_(getattr(batch, field.name))
        self.lr.fill_(lr)
        self.graph.replay()
        return Losses(**{f.name: getattr(self.losses, f.name).detach().clone() for f in fields(self.losses)}), self.norm.clone()


class Meter:
    """Sums between two log lines; reading them is the loop's only host sync."""

    def __init__(self, flops: FlopCounter, peak: float | None) -> None:
        self.flops, self.peak = flops, peak
        self.waited = 0.0
        self.last_elapsed = 0.0
        self.reset()

    def reset(self) -> None:
        self.losses: list[Losses] = []
        self.norms: list[torch.Tensor] = []
        self.counts: list[torch.Tensor] = []
        self.work: list[torch.Tensor] = []
        self.waited = 0.0

    def add(self, losses: Losses, gradient_norm: torch.Tensor, batch: Batch) -> None:
        self.losses.append(losses)
        self.norms.append(gradient_norm)
        self.counts.append(torch.stack((batch.num_samples, batch.real_patches, batch.real_tokens)))
        self.work.append(self.flops.count(batch))

    def flush(self, ranks: Ranks, stage: Stage, step: int, done: int, elapsed: float) -> dict[str, Any]:
        """One log record over the steps since the last."""
        n = len(self.losses)
        seconds = max(1e-9, elapsed - self.last_elapsed)
        self.last_elapsed = elapsed
        columns = [[x.text for x in self.losses], [x.glyph for x in self.losses], [x.glyph_right for x in self.losses]]
        norms = torch.stack(self.norms)
        columns += [list(norms.nan_to_num(0.0, 0.0, 0.0)), list((~norms.isfinite()).float())]
        scalars = torch.stack([torch.stack(column).mean() for column in columns])
        tasks = torch.stack([torch.stack((x.task_loss, x.task_right, x.task_count)) for x in self.losses]).sum(0)
        text, glyph, glyph_right, norm, skipped = ranks.mean(scalars).tolist()
        loss, right, count = ranks.mean(tasks).tolist()
        samples, patches, tokens = (torch.stack(self.counts).sum(0) * ranks.count / seconds).tolist()
        load = torch.stack([x.expert_load for x in self.losses]).sum(0)
        worst = float((load.max(-1).values / load.mean(-1).clamp_min(1) - 1).max()) if load.numel() else 0.0
        record = {
            "kind": "train", "stage": stage.name, "step": step, "stage_step": done, "seconds": round(elapsed, 1),
            "loss": round(text, 4), "glyph_loss": round(glyph, 4), "glyph_accuracy": round(glyph_right, 4), "gradient_norm": round(norm, 3),
            "tasks": {t: [round(loss[i] / count[i], 3), round(right[i] / count[i], 3)] for i, t in enumerate(TASKS) if count[i]},
            "max_violation": round(worst, 3), "samples_per_s": round(samples), "patches_per_s": round(patches),
            "tokens_per_s": round(tokens), "wait": round(self.waited / seconds, 3), "ms_per_step": round(1000 * seconds / n, 1),
            "skipped": round(skipped * n),
        }  # fmt: skip
        if self.peak:
            record["mfu"] = round(float(torch.stack(self.work).sum()) / seconds / self.peak, 4)
        self.reset()
        return record
