"""Questions with one checkable answer, for reinforcement learning: rendered ahead by worker processes, chosen by how hard they are.

A problem is one turn of a rendered scene, asked alone and with nothing said about thinking. Candidates come in chunks that are a pure
function of (seed, rank, number); which of them are asked depends on the success rates so far. Both together resume bitwise.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from kimi_vl.processor.chat import ImagePart, Message, TextPart, render
from kimi_vl.processor.tokenizer import Tokenizer
from kimi_vl.training.packing import PATCH_VALUES, patchify
from kimi_vl.training.synth import world
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.scene import Scene, Turn

CHUNK = 16  # problems rendered at a time: about 10 MB of pictures, a second of a slow core
SCENES_PER_CHUNK = 1 << 16  # index space; far more than any chunk looks at
STEPS = 36  # digits worked on in the longest calculations; longer ones count as this many
STEPS_APART = 4  # calculations whose steps differ by less share a bucket
UNSEEN = 0.5  # success rate of a bucket that has not been tried
MEMORY = 0.8  # weight of the past in a success rate, per iteration in which its bucket was tried


@dataclass(frozen=True, kw_only=True)
class ProblemMix:
    """What is asked: shares of scene families, tasks of their turns, and how they are preferred."""

    families: Mapping[str, float]
    tasks: Sequence[str]
    severity: float
    seed: int
    max_patches: int  # of one picture
    max_prompt: int  # tokens
    candidates: int  # rendered for every problem asked; what is left over is thrown away
    floor: float  # least preference, of buckets that are always answered rightly
    easy_steps: int  # longest calculation asked at the beginning ...
    easing: int  # ... and the iterations over which the limit rises to the longest; 0 asks everything from the first on


@dataclass(frozen=True, eq=False)
class Problem:
    """A prompt and what it should be answered with. patches: uint8 [P, 588] of all pictures, one after another."""

    input_ids: list[int]
    patches: torch.Tensor
    grid_hws: list[tuple[int, int]]
    question: str
    answer: str
    family: str
    task: str
    steps: int


class ProblemStream(IterableDataset):
    """Endless chunks of `CHUNK` problems, number `first`, `first` + 1 and so on, of one rank and data split."""

    def __init__(self, mix: ProblemMix, checkpoint: Path, data: Path | None, *, split: str, rank: int = 0, first: int = 0) -> None:
        self.mix, self.checkpoint, self.data = mix, checkpoint, data
        self.split, self.rank, self.first = split, rank, first

    def __iter__(self) -> Iterator[tuple[torch.Tensor, list[Problem]]]:
        """Pictures of a chunk travel between processes as one tensor: each tensor of its own would hold a file descriptor."""
        worker = get_worker_info()
        step, offset = (worker.num_workers, worker.id) if worker else (1, 0)
        data = DataPack.load(self.data) if self.data else DataPack.builtin()
        tokenizer = Tokenizer.from_files(self.checkpoint / "tiktoken.model", self.checkpoint / "tokenizer_config.json")
        for number in itertools.count(self.first + offset, step):
            problems = list(itertools.islice(self._problems(number, tokenizer, data), CHUNK))
            yield torch.cat([p.patches for p in problems]), [_without_pictures(p) for p in problems]

    def _problems(self, number: int, tokenizer: Tokenizer, data: DataPack) -> Iterator[Problem]:
        names = list(self.mix.families)
        shares = np.array([self.mix.families[name] for name in names], dtype=np.float64)
        rng = np.random.default_rng([self.mix.seed, self.rank, number])
        first_scene = (self.rank << 48) + number * SCENES_PER_CHUNK
        for index in range(first_scene, first_scene + SCENES_PER_CHUNK):
            family = names[rng.choice(len(names), p=shares / shares.sum())]
            scene = world.render(family, self.split, self.mix.seed, index, data, severity=self.mix.severity)
            # Turns that think unasked. Asked without a demand, the others are answered at a glance, which would count as malformed.
            turns = [t for t in scene.turns if t.thinking is not None and t.mode == "auto" and t.task in self.mix.tasks]
            if turns and (problem := self._problem(scene, turns[rng.integers(len(turns))], family, tokenizer)):
                yield problem
        raise RuntimeError(f"{SCENES_PER_CHUNK} scenes gave fewer than {CHUNK} problems; do the families {names} have the tasks asked for?")

    def _problem(self, scene: Scene, turn: Turn, family: str, tokenizer: Tokenizer) -> Problem | None:
        pictures = [patchify(page.image) for page in scene.pages]
        if not pictures or max(len(patches) for patches, _ in pictures) > self.mix.max_patches:
            return None
        parts: list[TextPart | ImagePart] = []
        for page in scene.pages:
            parts += [TextPart(page.label), ImagePart(b"")] if page.label else [ImagePart(b"")]
        message = Message("user", (*parts, TextPart(turn.question)))
        ids = render([message], tokenizer, [len(patches) // 4 for patches, _ in pictures])
        if len(ids) > self.mix.max_prompt:
            return None
        patches = torch.from_numpy(np.concatenate([patches for patches, _ in pictures]))
        return Problem(ids, patches, [grid for _, grid in pictures], turn.question, turn.answer, family, turn.task, min(turn.steps, STEPS))


def _without_pictures(problem: Problem) -> Problem:
    # A tensor of its own: an empty view would carry the whole picture along.
    return replace(problem, patches=torch.zeros(0, PATCH_VALUES, dtype=torch.uint8))


def _quiet_worker(_: int) -> None:
    torch.set_num_threads(1)


def problems(stream: ProblemStream, *, workers: int) -> Iterator[Problem]:
    """Iterate a stream through worker processes, in order, which begin at once; with workers=0 in this process."""
    if workers == 0:
        return _apart(iter(stream))
    return _apart(iter(DataLoader(stream, batch_size=None, num_workers=workers, prefetch_factor=2, worker_init_fn=_quiet_worker)))


def _apart(chunks: Iterator[tuple[torch.Tensor, list[Problem]]]) -> Iterator[Problem]:
    for patches, chunk in chunks:
        pieces = patches.split([sum(h * w for h, w in problem.grid_hws) for problem in chunk])
        for problem, piece in zip(chunk, pieces, strict=True):
            yield replace(problem, patches=piece)


class Chooser:
    """Chooses what is asked next, in favour of what is often answered wrongly (k1.5's prioritised sampling), easy before hard.

    Problems are in buckets by family and steps. Among the candidates of an iteration one is asked with a preference of 1 minus its
    bucket's success rate, so buckets come in proportion to that preference times how often they are rendered, as far as the candidates
    last.
    """

    def __init__(self, mix: ProblemMix) -> None:
        self.mix = mix
        self.families = sorted(mix.families)
        self.success_FS = torch.full((len(self.families), STEPS // STEPS_APART + 1), UNSEEN, dtype=torch.float64)

    def bucket(self, problem: Problem) -> tuple[int, int]:
        return self.families.index(problem.family), problem.steps // STEPS_APART

    def preference(self, problem: Problem, iteration: int) -> float:
        """From the mix's floor to 1."""
        if problem.steps > self.step_limit(iteration):
            return self.mix.floor
        return max(self.mix.floor, 1 - float(self.success_FS[self.bucket(problem)]))

    def step_limit(self, iteration: int) -> float:
        """The longest calculation that is asked by preference."""
        done = 1.0 if self.mix.easing == 0 else min(1.0, iteration / self.mix.easing)
        return self.mix.easy_steps + done * (STEPS - self.mix.easy_steps)

    def choose(self, candidates: Sequence[Problem], count: int, iteration: int, rank: int) -> list[Problem]:
        """`count` different candidates, drawn one after another by preference (Efraimidis and Spirakis: the largest u^(1/w))."""
        rng = np.random.default_rng([self.mix.seed, rank, iteration, 1])
        weights = np.array([self.preference(problem, iteration) for problem in candidates])
        keys = np.log(rng.random(len(candidates))) / weights
        return [candidates[k] for k in np.sort(np.argsort(-keys)[:count])]

    def observe(self, tried_FS: torch.Tensor, right_FS: torch.Tensor) -> None:
        """Take in the replies of an iteration, counted by bucket over all ranks."""
        rate_FS = right_FS / tried_FS.clamp_min(1)
        self.success_FS = torch.where(tried_FS > 0, MEMORY * self.success_FS + (1 - MEMORY) * rate_FS, self.success_FS)

    def counts(self, asked: Sequence[Problem], right: Sequence[Sequence[bool]]) -> tuple[torch.Tensor, torch.Tensor]:
        """(replies tried, replies right) by bucket, float64 [families, steps], for `observe`."""
        tried_FS, right_FS = torch.zeros_like(self.success_FS), torch.zeros_like(self.success_FS)
        for problem, verdicts in zip(asked, right, strict=True):
            tried_FS[self.bucket(problem)] += len(verdicts)
            right_FS[self.bucket(problem)] += sum(verdicts)
        return tried_FS, right_FS
