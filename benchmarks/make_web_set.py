"""Draw the pinned set of web pages, benchmarks/web: a renderer, sites, themes, fonts and words that nano never trained on.

    python benchmarks/make_web_set.py .data/pack benchmarks/web

Needs Playwright and Chromium, and was run once; its output is committed. Pages are written by the grammars of
`synth/sources/web_trials.py` and filled from split "test". Every question has one answer on its page; for "point" and
"box" that is where, as `box` (x0, y0, x1, y1, relative to the page), and a point counts when it lies inside. Refusals have the answer
null.
"""

import argparse
import hashlib
import json
import random
from pathlib import Path

from PIL import Image

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.places import corners, settle
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import REFUSAL_IMAGE, Turn
from kimi_vl.training.synth.screens.web import whole
from kimi_vl.training.synth.screens.web_turns import WebTurns
from kimi_vl.training.synth.sources import web, web_trials
from kimi_vl.training.synth.sources.browser import browser_page

PAGES, QUESTIONS, QUALITY = 60, 8, 75


def as_question(turn: Turn) -> dict[str, object]:
    answer = None if turn.answer == REFUSAL_IMAGE else turn.answer
    question: dict[str, object] = {"question": turn.question, "answer": answer, "task": turn.task}
    if turn.box and turn.task in ("point", "box"):
        question["box"] = [round(side, 4) for side in turn.box]
    return question


def make(pack: DataPack, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    grammars, documents = list(web_trials.GRAMMARS.items()), []
    with browser_page(800, 600) as page:
        for k in range(PAGES):
            grammar = grammars[k % len(grammars)]
            picture, facts = web.draw_fitting(page, f"web/test/{k}", pack, "test", grammar, web_trials.THEMES)
            name = f"page-{k:02d}.webp"
            Image.fromarray(picture).save(folder / name, "WEBP", quality=QUALITY, method=6)
            content = Content(random.Random(f"web/questions/{k}"), pack, "test")
            view = whole(content, facts)
            text = "\n".join(view.rows)
            turns = WebTurns(content, Interview(content.rng, text, image_only=True, split="test"), view).draw(QUESTIONS)
            turns = settle(turns, [corners(*item.box) for item in view.items], facts["width"], facts["height"])
            questions = [as_question(turn) for turn in turns if "\n" not in turn.answer]
            sha256 = hashlib.sha256((folder / name).read_bytes()).hexdigest()
            documents.append({"file": name, "sha256": sha256, "family": f"web/{grammar[0]}", "text": text, "questions": questions})
    (folder / "documents.json").write_text(json.dumps(documents, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pack", type=Path, help="folder of the data pack")
    parser.add_argument("folder", type=Path, help="where the set is written")
    arguments = parser.parse_args()
    make(DataPack.load(arguments.pack), arguments.folder)
