"""Colours of charts in any look: palettes that people know from their programs, and palettes drawn at random.

None of their colours is close to one of a palette that is held out.
"""

import colorsys
from collections.abc import Sequence

from kimi_vl.training.synth.canvas import Colour
from kimi_vl.training.synth.charts.styles import PALETTES, told_apart
from kimi_vl.training.synth.content import Content

NEAR = 24  # sum of the differences of red, green and blue from a colour that is held out

NAMED = (
    "e69f00 56b4e9 009e73 f0e442 0072b2 d55e00 cc79a7 000000",
    "4e79a7 f28e2b e15759 76b7b2 59a14f edc948 b07aa1 ff9da7 9c755f",
    "4472c4 ed7d31 a5a5a5 ffc000 5b9bd5 70ad47 264478 9e480e",
    "4f81bd c0504d 9bbb59 8064a2 4bacc6 f79646 2c4d75 772c2a",
    "004586 ff420e ffd320 579d1c 7e0021 83caff 314004 aecf00",
    "4c72b0 dd8452 55a868 c44e52 8172b3 937860 da8bc3 64b5cd",
    "f8766d b79f00 00ba38 00bfc4 619cff f564e3",
    "9400d3 009e73 56b4e9 e69f00 f0e442 0072b2 e51e10 000000",
    "e41a1c 377eb8 4daf4a 984ea3 ff7f00 a65628 f781bf 999999",
    "1b9e77 d95f02 7570b3 e7298a 66a61e e6ab02 a6761d 666666",
    "8dd3c7 bebada fb8072 80b1d3 fdb462 b3de69 fccde5 bc80bd",
    "003f5c 58508d bc5090 ff6361 ffa600 2f4b7c",
    "5470c6 91cc75 fac858 ee6666 73c0de 3ba272 fc8452 9a60b4",
    "2caffe 544fc5 00e272 fe6a35 6b8abc d568fb 2ee0ca fa4b42",
    "bf616a d08770 ebcb8b a3be8c b48ead 5e81ac 88c0d0",
    "df538d 61d04f 2297e6 28e2e5 cd0bbc f5c710 9e9e9e 000000",
    "e3120b 006ba2 3ebcd2 379a8b ebb434 b4ba39 9a607f",
    "440154 414487 2a788e 22a884 7ad151 fde725",
    "0d0887 6a00a8 b12a90 e16462 fca636 f0f921",
    "001f3f 0074d9 7fdbff 39cccc 3d9970 2ecc40 ff851b 85144b",
)
HELD_OUT: tuple[Colour, ...] = tuple(colour for palette in PALETTES.held_out for colour in palette)


def is_near(colour: Colour) -> bool:
    """Whether a colour is, at a glance, one of those that are held out."""
    r, g, b = colour
    return any(abs(r - x) + abs(g - y) + abs(b - z) < NEAR for x, y, z in HELD_OUT)


def draw_palette(content: Content, papers: Sequence[Colour]) -> tuple[Colour, ...]:
    """Colours that can be told from the papers and from one another, in any order."""
    draw = content.one((_named, _named, _wheel, _wheel, _shades, _earth, _any))
    colours = [c for c in draw(content) if not is_near(c)]
    if content.chance(0.7):
        content.rng.shuffle(colours)
    return told_apart(colours, papers)


def _named(content: Content) -> list[Colour]:
    return [(int(c[:2], 16), int(c[2:4], 16), int(c[4:], 16)) for c in content.one(NAMED).split(" ")]


def _wheel(content: Content) -> list[Colour]:
    """Hues all around, equally soft, deep or bright."""
    start, soft = content.rng.random(), content.rng.uniform(0.35, 1.0)
    lights = [content.rng.uniform(0.35, 0.7)] * 2
    if content.chance(0.5):
        lights[1] = content.rng.uniform(0.3, 0.75)
    return [_hls((start + k / 8) % 1, lights[k % 2], soft) for k in range(8)]


def _shades(content: Content) -> list[Colour]:
    """One hue, or two, from dark to light."""
    first = content.rng.random()
    second = first if content.chance(0.6) else content.rng.random()
    soft = content.rng.uniform(0.3, 0.95)
    return [_hls(first if k % 2 == 0 else second, 0.15 + 0.1 * k, soft) for k in range(8)]


def _earth(content: Content) -> list[Colour]:
    """Browns, ochres, olives and brick."""
    return [_hls(content.rng.uniform(0.0, 0.28), 0.2 + 0.06 * k, content.rng.uniform(0.25, 0.6)) for k in range(9)]


def _any(content: Content) -> list[Colour]:
    return [(content.rng.randrange(256), content.rng.randrange(256), content.rng.randrange(256)) for _ in range(14)]


def _hls(hue: float, light: float, soft: float) -> Colour:
    red, green, blue = colorsys.hls_to_rgb(hue, light, soft)
    return round(red * 255), round(green * 255), round(blue * 255)
