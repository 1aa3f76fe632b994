"""Numbers as they are printed, and the steps of a sum: what tables and charts have in common."""

import random
from collections.abc import Sequence
from typing import NamedTuple

from kimi_vl.training.synth.canvas import Colour


class Notation(NamedTuple):
    """How integers are printed: `decimals` of their digits stand behind the point; prefix and suffix are units."""

    decimals: int = 0
    point: str = "."
    group: str = ""  # between thousands
    prefix: str = ""
    suffix: str = ""

    def bare(self, value: int) -> str:
        whole, rest = divmod(abs(value), 10**self.decimals)
        text = f"{whole:,}".replace(",", self.group)
        if self.decimals:
            text += f"{self.point}{rest:0{self.decimals}d}"
        return f"-{text}" if value < 0 else text

    def full(self, value: int) -> str:
        """With its unit."""
        return f"{'-' if value < 0 else ''}{self.prefix}{self.bare(abs(value))}{self.suffix}"


def running_sum(rng: random.Random, notation: Notation, values: Sequence[int]) -> str:
    """One addition a line; sometimes once more in the opposite order."""
    steps = _additions(notation, values)
    if rng.random() < 0.3:
        steps += ["Check:", *_additions(notation, values[::-1])]
    return "\n".join(steps)


def _additions(notation: Notation, values: Sequence[int]) -> list[str]:
    bare, steps, total = notation.bare, [], values[0]
    for value in values[1:]:
        steps.append(f"{bare(total)} + {bare(value)} = {bare(total + value)}")
        total += value
    return steps


def subtraction(rng: random.Random, notation: Notation, a: int, b: int) -> str:
    """a - b with its result; sometimes checked by adding."""
    bare = notation.bare
    step = f"{bare(a)} - {bare(b)} = {bare(a - b)}"
    return f"{step}\nCheck: {bare(b)} + {bare(a - b)} = {bare(a)}" if rng.random() < 0.3 else step


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in GitHub's Markdown; cells are free of bars."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of b in a."""
    red, green, blue = (round(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
