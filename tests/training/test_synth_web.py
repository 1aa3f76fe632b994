"""Web pages: what is recorded stays where it is through cutting and scaling, and answers are what the page says."""

import hashlib
import json
import random
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from kimi_vl.training.packing import TASKS
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.pictures.icons import tiles
from kimi_vl.training.synth.places import corners, settle
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import REFUSAL_IMAGE, Overfull, Turn
from kimi_vl.training.synth.screens import web
from kimi_vl.training.synth.screens.web_turns import View, WebTurns, items_of, row_of
from kimi_vl.training.synth.sources import web as web_source
from kimi_vl.training.synth.sources import web_grammars, web_trials

PACK = DataPack.builtin()
BENCHMARK = Path(__file__).parents[2] / "benchmarks/web"
ITEMS = [
    {"role": "title", "label": "Shop", "text": "Shop", "box": [10, 10, 60, 30]},
    {"role": "button", "label": "Sign in", "goal": "sign in", "text": "Sign in", "enabled": True, "box": [300, 10, 380, 40]},
    {"role": "fact", "label": "price", "thing": "Green Tea", "task": "price", "text": "$2.50", "box": [200, 100, 260, 120]},
    {"role": "fact", "label": "price", "thing": "Butter", "task": "price", "text": "$1.10", "box": [200, 140, 260, 160]},
    {"role": "fact", "label": "date", "task": "field", "text": "4 May 2024", "box": [200, 180, 290, 200]},
    {"role": "field", "label": "Name", "value": "Ann", "hint": "", "box": [10, 220, 200, 250]},
    {"role": "field", "label": "Search", "value": "", "hint": "Search", "box": [210, 220, 380, 250]},
    {"role": "check box", "label": "Remember me", "on": True, "enabled": True, "box": [10, 260, 120, 280]},
    {"role": "drop-down", "label": "Sort by", "value": "Price", "box": [200, 260, 300, 280]},
    {"role": "paragraph", "label": "1", "text": "Open all day and all night.", "box": [10, 300, 200, 345]},
]
ROWS = {
    "Shop Sign in": 20.0,
    "Green Tea $2.50": 110.0,
    "Butter $1.10": 150.0,
    "Date 4 May 2024": 190.0,
    "By phone": 205.0,
    "Ann Search": 235.0,
    "Remember me Sort by Price": 270.0,
    "Open all day": 311.0,
    "and all night.": 334.0,
}


def turns() -> list[Turn]:
    """Many turns about one page of 400 x 400 pixels, with coordinates."""
    view = View(tuple(items_of(ITEMS)), tuple(ROWS), tuple(ROWS.values()), ("home", "trash"))
    made: list[Turn] = []
    for seed in range(260):
        content = Content(random.Random(seed), PACK, "train")
        made += WebTurns(content, Interview(content.rng, "\n".join(ROWS), image_only=True), view).draw(6)
    return settle(made, [corners(*item.box) for item in view.items], 400, 400)


TURNS = turns()
SIGNS = (
    *("search", "user", "shopping cart", "bell", "menu", "settings", "heart", "trash", "archive", "mail", "tag", "refresh", "more"),
    *("arrow left", "arrow right", "paperclip", "phone", "download", "upload", "share", "list", "copy", "plus", "minus", "layers"),
    *("close", "printer"),
)
TILES = tiles(next(icons for icons in PACK.icons("train") if icons.kind == "signs"))


def answers(pattern: str) -> set[str]:
    """Answers to questions of a pattern, places left out."""
    return {turn.answer for turn in TURNS if turn.box is None and re.search(pattern, turn.question, re.IGNORECASE)}


def draft(index: int, pack: DataPack = PACK, split: str = "train"):
    content = Content(random.Random(index), pack, split)
    while True:
        try:
            return web.web(content)
        except Overfull:
            continue


def test_facts_are_looked_up_by_what_they_are_about():
    assert answers(r"(cost|price|how much|pay for).*green tea") == {"$2.50"}
    assert answers(r"(cost|price|how much|pay for).*butter") == {"$1.10"}
    assert answers(r"^(what is|what's|read|find|tell me) the date\W*$") == {"4 May 2024"}
    assert answers(r"(what costs|which (item|one) costs|what can i get for) \$1\.10") == {"Butter"}


def test_goals_and_labels_are_pointed_at():
    points = [turn for turn in TURNS if turn.task == "point" and re.search(r"sign in", turn.question, re.IGNORECASE)]
    assert len(points) > 10
    assert {turn.answer for turn in points} == {"(0.850, 0.062)"}
    assert all(turn.box == pytest.approx((0.75, 0.025, 0.95, 0.1)) for turn in points)


def test_states_and_fields_say_what_is_set():
    assert answers(r"\b(is|has|have)\b.*remember me.*\b(checked|ticked|mark|selected|on)\b") == {"Yes."}
    assert answers(r"(set to|selected|chosen|picked|option).*\bsort by\b") == {"Price"}
    assert answers(r"\bname\b.*field|(entered|typed).*\bname\b") >= {"Ann"}
    assert "It is empty." not in {turn.answer for turn in TURNS}


def test_paragraphs_and_rows_are_read_with_their_line_breaks():
    assert answers(r"\bfirst paragraph") == {"Open all day\nand all night."}
    assert answers(r"(row|line).*\bbutter\b") == {"Butter $1.10"}


def test_what_a_page_does_not_state_is_refused_and_only_that():
    refused = [turn for turn in TURNS if turn.task == "refuse"]
    assert len(refused) > 20
    assert {turn.answer for turn in refused} == {REFUSAL_IMAGE}
    assert not any(re.search(r"green tea|butter|\bdate\b|remember me|sign in|sort by", turn.question, re.IGNORECASE) for turn in refused)
    assert any("order number" in turn.question.lower() for turn in refused)
    assert not any("phone number" in turn.question.lower() for turn in refused)  # "phone" stands on the page
    assert {turn.task for turn in TURNS} <= set(TASKS)


def test_a_cut_page_still_has_its_words_on_their_ink(monkeypatch):
    monkeypatch.setattr(web, "part", lambda content, found, frame: (12, 20, 320, 160))
    made = [draft(index) for index in range(12)]
    cut = [found for found in made if abs(found.canvas.width / found.canvas.height - 308 / 140) < 0.02]
    assert cut
    for found in cut:
        image, chars, _ = found.canvas.finish()
        x, y = chars[0, 1:]
        assert image[int(y) - 8 : int(y) + 9, int(x) - 7 : int(x) + 8].min() < 100
        word = web.layout(PACK.web_pages("train")[0]).words[0]
        expected = web.characters([word])[0, 1:] - (12, 20)
        assert (x, y) == pytest.approx(expected * image.shape[1] / 308, abs=1.5)


@pytest.mark.parametrize("index", range(30))
def test_words_stay_on_their_ink_and_boxes_in_the_picture_when_a_page_is_cut_and_scaled(index):
    made = draft(index)
    image, chars, text = made.canvas.finish(made.height)
    assert "".join(map(chr, chars[:, 0].astype(int))) == "".join(text.split())
    assert image.shape[0] * image.shape[1] <= 672 * 896
    assert made.x_height >= 7
    for _, x, y in chars:
        near = image[max(0, int(y) - 8) : int(y) + 9, max(0, int(x) - 7) : int(x) + 8].astype(int)
        assert np.ptp(near, axis=(0, 1)).max() > 60
    for outline in made.outlines:
        assert -2 <= outline[:, 0].min() < outline[:, 0].max() <= image.shape[1] + 2
        assert -2 <= outline[:, 1].min() < outline[:, 1].max() <= image.shape[0] + 2
    assert made.ask(Interview(random.Random(index), text, image_only=True))


def test_a_part_of_a_page_cuts_no_word_and_no_element():
    words = [web.Word("left", 20, 60, 100), web.Word("right", 500, 560, 100), web.Word("low", 20, 60, 500)]
    items = items_of([{"role": "button", "label": "b", "text": "b", "box": [10, 300, 590, 330]}])
    found = web.Layout(words, items, 8.0)
    parts = {web.part(Content(random.Random(seed), PACK, "train"), found, (0, 0, 600, 600)) for seed in range(200)}
    assert len(parts) > 50
    for left, top, right, bottom in parts:
        assert right - left >= web.LEAST_SIDE
        assert bottom - top >= web.LEAST_SIDE
        assert not any(low < cut < high for cut in (top, bottom) for low, high in ((90, 110), (490, 510), (301, 329)))
        assert not any(top < word.y < bottom and word.x0 < cut < word.x1 for cut in (left, right) for word in words)


def test_a_part_of_a_page_keeps_the_names_of_what_it_keeps():
    words = [
        web.Word("Owner", 400, 460, 30),
        web.Word("a.txt", 20, 60, 300),
        web.Word("Ann", 400, 440, 300),
        web.Word("Bob", 400, 440, 560),
    ]
    fact = {"role": "fact", "label": "Owner", "thing": "a.txt", "text": "Ann", "box": [400, 290, 440, 310]}
    found = web.Layout(words, items_of([fact]), 8.0)
    parts = {web.part(Content(random.Random(seed), PACK, "train"), found, (0, 0, 600, 600)) for seed in range(200)}
    keeping = [frame for frame in parts if web.holds(frame, tuple(fact["box"]))]
    assert len(parts) > 20
    assert keeping
    assert all(web.holds(frame, (400, 22, 460, 38)) and web.holds(frame, (20, 292, 60, 308)) for frame in keeping)


def test_other_colours_keep_greys_grey_and_exchange_light_and_dark_at_most():
    image = np.zeros((4, 60, 3), np.uint8)
    image[:, :20], image[:, 20:40], image[:, 40:] = 250, 60, (20, 90, 220)
    seen = set()
    for seed in range(60):
        made = web.recoloured(Content(random.Random(seed), PACK, "train"), image)
        light, dark, blue = made[0, 10].astype(int), made[0, 30].astype(int), made[0, 50].astype(int)
        assert max(np.ptp(light), np.ptp(dark)) <= 2  # still grey
        assert abs(int(light.mean()) - int(dark.mean())) > 140
        seen.add((bool(light.mean() > dark.mean()), int(blue.argmax())))
    assert seen >= {(True, 0), (True, 1), (True, 2), (False, 0), (False, 1), (False, 2)}


def test_a_button_beside_facts_of_one_thing_is_of_its_row():
    items = items_of(
        [
            {"role": "fact", "label": "price", "thing": "Tea", "text": "$1", "box": [10, 10, 40, 30]},
            {"role": "fact", "label": "date", "thing": "Tea", "text": "May", "box": [50, 10, 80, 30]},
            {"role": "fact", "label": "price", "thing": "Milk", "text": "$2", "box": [10, 50, 40, 70]},
            {"role": "fact", "label": "price", "thing": "Rice", "text": "$2", "box": [60, 50, 90, 70]},
            {"role": "icon", "label": "trash", "box": [100, 12, 116, 28]},
            {"role": "icon", "label": "trash", "box": [100, 52, 116, 68]},
        ]
    )
    assert [row_of(item, items) for item in items[4:]] == ["Tea", ""]


def test_rows_break_where_a_line_does():
    words = [
        web.Word("a", 0, 10, 20),
        web.Word("b", 15, 25, 21),
        web.Word("c", 0, 10, 40),
        web.Word("d", 5, 15, 40),
        web.Word("e", 20, 30, 55),
    ]
    assert [[word.text for word in row] for row in web.in_rows(words, 8)] == [["a", "b"], ["c"], ["d"], ["e"]]


def test_characters_share_their_words_width():
    found = web.characters([web.Word("iiW", 100, 126, 50)])
    assert found[:, 1].tolist() == pytest.approx([103, 109, 119])
    assert found[:, 2].tolist() == [50, 50, 50]


@pytest.mark.parametrize("module", [web_grammars, web_trials])
def test_every_grammar_writes_valid_items_with_labels_that_differ(module, monkeypatch):
    monkeypatch.setattr(web_source, "tiles", lambda _: dict.fromkeys(SIGNS, next(iter(TILES.values()))))
    for name, grammar in module.GRAMMARS.items():
        for seed in range(6):
            content = Content(random.Random(f"{name}/{seed}"), PACK, "train")
            try:
                body = grammar(web_source.Site(content, module.THEMES[0]))
            except Overfull:  # thirty words are few for a page
                continue
            found = [json.loads(entry) for entry in re.findall(r"data-item='([^']*)'", body.replace("&quot;", '"').replace("&#x27;", "’"))]
            assert found, name
            named = [(entry["role"], entry["label"], entry.get("thing")) for entry in found if entry["role"] in ("button", "link", "fact")]
            assert len(set(named)) == len(named), name
            assert body.count("<div") == body.count("</div>"), name
            assert body.count("<span") == body.count("</span>"), name


def test_training_and_test_sites_have_nothing_in_common():
    assert not set(web_grammars.GRAMMARS) & set(web_trials.GRAMMARS)
    assert not set(web_grammars.THEMES) & set(web_trials.THEMES)
    assert len(web_grammars.GRAMMARS) >= 24


def test_the_page_is_cut_above_what_does_not_fit():
    words = [["w", 0, 9, 50, 40, 60, 8], ["w", 0, 9, 395, 385, 405, 8]]
    found = {"words": words, "items": [[{"role": "button"}, [0, 370, 50, 410]]], "height": 900}
    assert web_source._cut(found, 400) == 369
    with pytest.raises(Overfull, match="too low"):
        web_source._cut({"words": words, "items": [], "height": 300}, 400)


def test_the_pinned_pages_are_what_their_list_says_and_their_answers_are_on_them():
    documents = json.loads((BENCHMARK / "documents.json").read_text(encoding="utf-8"))
    assert len(documents) == 60
    for document in documents:
        data = (BENCHMARK / document["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == document["sha256"]
        assert document["questions"]
        height, width = np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)).shape[:2]
        assert height * width <= 672 * 896
        flat = " ".join(document["text"].split())
        for question in document["questions"]:
            if question["task"] in ("field", "price", "cell", "title", "read", "line") and question["answer"]:
                assert question["answer"] in flat
            if question["task"] in ("point", "box"):
                x0, y0, x1, y1 = question["box"]
                assert 0 <= x0 < x1 <= 1
                assert 0 <= y0 < y1 <= 1
                x, y, *_ = map(float, re.findall(r"\d\.\d+", question["answer"]))
                assert x0 - 0.001 <= x <= x1 + 0.001
                assert y0 - 0.001 <= y <= y1 + 0.001
