"""Paste rendered samples of one family into one PNG to look at, with their questions beside them.

python tools/contact_sheet.py receipt sheet.png --split train --seed 0 --count 12 --pack .data/pack
"""

import argparse
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.scene import Scene
from kimi_vl.training.synth.world import FAMILIES, render

CAPTION = 260  # pixels beside each picture


def caption(scene: Scene) -> str:
    """The turns of a scene, wrapped."""
    lines = []
    for turn in scene.turns:
        lines += textwrap.wrap(f"[{turn.mode} {turn.task}] {turn.question}", 44)
        if turn.thinking is not None:
            lines += [f"  ~ {row}" for row in turn.thinking.split("\n")]
        lines += [f"  > {row}" for row in turn.answer.split("\n")]
    return "\n".join(lines)


def sheet(scenes: list[Scene], columns: int, *, captions: bool, marks: bool) -> Image.Image:
    """Scenes on a grid; `marks` dots every character's centre in red."""
    beside = CAPTION if captions else 0
    wide = max(s.image.shape[1] for s in scenes) + beside + 8
    high = max(s.image.shape[0] for s in scenes) + 8
    rows = -(-len(scenes) // columns)
    page = Image.new("RGB", (wide * columns, high * rows), (128, 128, 160))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(9)
    for k, scene in enumerate(scenes):
        x, y = k % columns * wide + 4, k // columns * high + 4
        page.paste(Image.fromarray(scene.image), (x, y))
        if marks:
            draw.point([(x + c[1], y + c[2]) for c in scene.chars], (255, 0, 0))
        if captions:
            draw.multiline_text((x + scene.image.shape[1] + 4, y), caption(scene), (255, 255, 255), font, spacing=1)
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("family", choices=FAMILIES)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--severity", type=float, default=1.0)
    parser.add_argument("--pack", type=Path)
    parser.add_argument("--no-captions", action="store_true")
    parser.add_argument("--marks", action="store_true", help="dot the centres of the characters")
    args = parser.parse_args()
    pack = DataPack.load(args.pack) if args.pack else DataPack.builtin()
    indices = range(args.start, args.start + args.count)
    scenes = [render(args.family, args.split, args.seed, k, pack, severity=args.severity) for k in indices]
    sheet(scenes, args.columns, captions=not args.no_captions, marks=args.marks).save(args.out)


if __name__ == "__main__":
    main()
