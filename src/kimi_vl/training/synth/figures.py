"""Numbers as they are printed, tables in Markdown, mixed colours: what tables and charts have in common."""

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


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in GitHub's Markdown; cells are free of bars."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """`share` of b in a."""
    red, green, blue = (round(x * (1 - share) + y * share) for x, y in zip(a, b, strict=True))
    return red, green, blue
