"""Render the pinned reading set, benchmarks/reading: fonts, words and pieces of layout that nano never trained on.

    python benchmarks/make_reading_set.py .data/pack benchmarks/reading

It was run once; its output is committed, so that a measurement needs neither the data pack nor a renderer. Training draws from
split "train", development from "val"; this set is split "test" with a seed of its own. Questions are worded as in training
(they are not what is held out); answers come from the facts that were printed. WebP keeps the pictures small: nearly lossless
for lines, quality 78 to 80 for the rest, which is one more honest degradation, the same for every tool.
"""

import argparse
import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from kimi_vl.training.synth.augment import augment
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.clerks import draw_receipt
from kimi_vl.training.synth.documents.receipt_turns import ReceiptTurns
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import REFUSAL, REFUSAL_IMAGE, Overfull, Page, Scene, Turn
from kimi_vl.training.synth.world import render

SEED = 20260
SHARES = {"line": 300, "paragraph": 60, "receipt": 100, "blank": 20}
QUALITY = {"line": 92, "paragraph": 80, "receipt": 78, "blank": 78}
ANCHORS = ("total", "date")  # asked about every receipt that prints them


def receipt(index: int, pack: DataPack) -> Scene:
    """A test receipt with up to six questions: total, date, and four drawn ones."""
    rng = random.Random(f"reading/receipt/{SEED}/{index}")
    content = Content(rng, pack, "test")
    while True:
        try:
            canvas, height, x_height, slip = draw_receipt(content)
            image, chars, text = canvas.finish(height)
            break
        except Overfull:
            continue
    interview = Interview(rng, text)
    facts = [(key, slip.facts[key]) for key in ANCHORS if key in slip.facts]
    turns = [interview.lookup(key, fact.answer, fact.row, key) for key, fact in facts]
    asked = {turn.answer for turn in turns}
    drawn = ReceiptTurns(content, interview, slip).draw(4)
    image, chars = augment(rng, image, chars, x_height=x_height, severity=1.0)
    return Scene([Page(image, chars)], turns + [turn for turn in drawn if turn.task != "field" or turn.answer not in asked], text)


def in_columns(scene: Scene) -> bool:
    """Whether reading goes back up the page: such texts are left out, since where a tool joins columns is not how it reads."""
    return bool(len(scene.chars) and (np.diff(scene.chars[:, 2]) < -40).any())


def as_question(turn: Turn) -> dict[str, str | None]:
    refused = turn.answer in (REFUSAL, REFUSAL_IMAGE)
    task = "list" if "\n" in turn.answer else turn.task
    return {"question": turn.question, "answer": None if refused else turn.answer, "task": task}


def scenes(family: str, pack: DataPack) -> Iterator[Scene]:
    """The endless sequence of usable test scenes of a family."""
    for index in itertools.count():
        scene = receipt(index, pack) if family == "receipt" else render(family, "test", SEED, index, pack)
        if not in_columns(scene):
            yield scene


def make(pack: DataPack, folder: Path) -> None:
    documents = []
    for family, count in SHARES.items():
        (folder / family).mkdir(parents=True, exist_ok=True)
        for index, scene in enumerate(itertools.islice(scenes(family, pack), count)):
            name = f"{family}/{index:03d}.webp"
            Image.fromarray(scene.image).save(folder / name, quality=QUALITY[family], method=6)
            sha256 = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            turns = scene.turns if family in ("receipt", "blank") else []
            questions = [as_question(turn) for turn in turns if turn.task != "read"]
            documents.append({"file": name, "sha256": sha256, "family": family, "text": scene.text, "questions": questions})
    (folder / "documents.json").write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path, help="folder of the data pack")
    parser.add_argument("folder", type=Path, help="where the set is written")
    arguments = parser.parse_args()
    make(DataPack.load(arguments.pack), arguments.folder)
