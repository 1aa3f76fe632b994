"""The renderer is trusted blindly by training: labels must be true, splits kept apart, and samples repeatable."""

import dataclasses
import importlib
import os
import pkgutil
import random
import re
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest

from kimi_vl.errors import InputError
from kimi_vl.training.synth import documents
from kimi_vl.training.synth.augment import augment
from kimi_vl.training.synth.canvas import Canvas, open_font
from kimi_vl.training.synth.content import MIN_X_HEIGHT, Choice, Content, luminance
from kimi_vl.training.synth.documents.receipt_turns import ABSENT
from kimi_vl.training.synth.documents.rows import Row, choose_setting
from kimi_vl.training.synth.pack import LISTS, SPLITS, DataPack
from kimi_vl.training.synth.scene import REFUSAL, REFUSAL_IMAGE, Overfull, Scene
from kimi_vl.training.synth.traces import verify
from kimi_vl.training.synth.wordings.wordings import WORDINGS
from kimi_vl.training.synth.world import BUILDERS, FAMILIES, render

PACK = DataPack.builtin()
PRINTED = [family for family in BUILDERS if family != "blank"]  # one picture with text; families of several have tests of their own
QUOTED = ("read", "line", "field", "price")  # tasks whose answers are printed
DATE = re.compile(
    r"\d{4}-\d\d-\d\d|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}|\d{1,2}[ -](?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-zA-Z]*[ -]\d"
    r"|\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{1,2}, \d{4}",
    re.IGNORECASE,
)


def scenes(family: str, split: str = "train", count: int = 40, severity: float = 0.0) -> list[Scene]:
    return [render(family, split, 5, index, PACK, severity=severity) for index in range(count)]


def fingerprint(scene: Scene) -> str:
    pages = b"".join(page.image.tobytes() + page.chars.tobytes() + page.label.encode() for page in scene.pages)
    return sha256(pages + repr((scene.turns, scene.text)).encode()).hexdigest()


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_arguments_give_identical_bytes_whatever_was_rendered_before(family):
    first = fingerprint(render(family, "train", 1, 7, PACK))
    for index in range(20, 30):
        render(family, "val", 2, index, PACK)
    assert fingerprint(render(family, "train", 1, 7, PACK)) == first
    assert fingerprint(render(family, "train", 1, 8, PACK)) != first
    assert fingerprint(render(family, "train", 2, 7, PACK)) != first
    assert fingerprint(render(family, "val", 1, 7, PACK)) != first


def test_another_process_with_another_hash_seed_renders_the_same_bytes():
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from test_synth import *\n"
        "print(*[fingerprint(render(f, 'test', 3, 4, PACK)) for f in FAMILIES])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1234"}
    run = subprocess.run(
        [sys.executable, "-c", code, os.path.dirname(__file__)], capture_output=True, text=True, env=environment, check=True
    )
    assert run.stdout.split() == [fingerprint(render(family, "test", 3, 4, PACK)) for family in FAMILIES]


@pytest.mark.parametrize("family", FAMILIES)
def test_pictures_are_rgb_bytes_within_the_largest_page(family):
    for scene in scenes(family, count=40, severity=1.0):
        for page in scene.pages:
            height, width, channels = page.image.shape
            assert page.image.dtype == np.uint8
            assert channels == 3
            assert page.image.flags.c_contiguous
            assert 28 <= height <= 896
            assert 28 <= width <= 672
        assert 1 <= len(scene.turns) <= 8


def test_a_line_is_at_most_448_by_56():
    assert all(scene.image.shape[0] <= 56 and scene.image.shape[1] <= 448 for scene in scenes("line", count=200))


@pytest.mark.parametrize("family", PRINTED)
def test_characters_are_the_transcription_in_reading_order(family):
    for scene in scenes(family, count=25, severity=1.0):
        assert scene.chars.dtype == np.float32
        assert "".join(map(chr, scene.chars[:, 0].astype(int))) == "".join(scene.text.split())


@pytest.mark.parametrize("family", PRINTED)
def test_character_centres_lie_inside_the_picture(family):
    for scene in scenes(family, count=25, severity=1.5):
        height, width = scene.image.shape[:2]
        assert (scene.chars[:, 1:] > 0).all()
        assert (scene.chars[:, 1] < width).all()
        assert (scene.chars[:, 2] < height).all()


@pytest.mark.parametrize("family", PRINTED)
def test_clean_characters_stand_where_they_are_said_to_stand(family):
    """Columns around a centre are inked between the ascent and the descent; blank columns beside the text are not."""
    for scene in scenes(family, count=12):
        grey = np.pad(scene.image @ np.array([0.299, 0.587, 0.114]), 24, mode="edge")
        for _, x, y in scene.chars:
            patch = grey[int(y) + 6 : int(y) + 43, int(x) + 21 : int(x) + 28]
            assert np.ptp(patch) > 40, f"no ink at {x:.0f}, {y:.0f}"


def test_a_single_character_is_centred_on_its_ink():
    font = open_font(PACK.faces("train")[0], 30)
    canvas = Canvas(100, 60, (255, 255, 255))
    canvas.write(40, 40, "x", font, (0, 0, 0))
    image, chars, text = canvas.finish()
    ys, xs = np.nonzero(image[..., 0] < 128)
    assert text == "x"
    assert chars[0, 1] == pytest.approx((xs.min() + xs.max()) / 2, abs=1.5)
    assert chars[0, 2] == pytest.approx((ys.min() + ys.max()) / 2, abs=1.5)


def test_degradation_moves_character_centres_along_with_their_pixels():

    spots = [(x, y) for x in range(40, 400, 60) for y in range(40, 300, 50)]
    page = np.full((340, 440, 3), 235, np.uint8)
    for x, y in spots:
        page[y - 4 : y + 5, x - 4 : x + 5] = 20
    chars = np.array([(65, x, y) for x, y in spots], np.float32)
    moved_some = False
    for seed in range(80):
        image, moved = augment(random.Random(seed), page, chars, x_height=9.0, severity=1.0)
        grey = image.mean(2)
        moved_some |= bool(np.abs(moved - chars).max() > 4)
        for _, x, y in moved:
            here = grey[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2].mean()
            beside = [grey[round(y) + dy, round(x) + dx] for dx, dy in ((13, 0), (-13, 0), (0, 13), (0, -13))]
            assert here < np.mean(beside) - 20, f"seed {seed}: no spot at {x:.0f}, {y:.0f}"
    assert moved_some


def test_tilting_never_pushes_a_character_out_of_the_picture():
    strip = np.full((56, 448, 3), 255, np.uint8)
    chars = np.array([(65, x, y) for x in (7, 440) for y in (8, 48)], np.float32)
    for seed in range(300):
        _, moved = augment(random.Random(seed), strip, chars, x_height=9.0, severity=1.5)
        assert moved[:, 1].min() > 4
        assert moved[:, 1].max() < 444
        assert moved[:, 2].min() > 5
        assert moved[:, 2].max() < 51


def test_about_half_of_the_samples_are_degraded_and_severity_zero_degrades_none():
    changed = [
        not np.array_equal(clean.image, worn.image)
        for clean, worn in zip(scenes("lines", count=200), scenes("lines", count=200, severity=1.0), strict=True)
    ]
    assert 0.40 < np.mean(changed) < 0.70
    page = np.zeros((30, 30, 3), np.uint8)

    assert all(augment(random.Random(s), page, np.zeros((0, 3)), x_height=9, severity=0.0)[0] is page for s in range(20))


@pytest.mark.parametrize("family", PRINTED)
@pytest.mark.parametrize("split", ["train", "test"])
def test_quoted_answers_are_printed_on_the_document(family, split):
    for scene in scenes(family, split):
        for turn in scene.turns:
            if turn.task in QUOTED:
                assert flat(turn.answer) in flat(scene.text), turn


@pytest.mark.parametrize("family", PRINTED)
def test_a_full_reading_is_the_whole_transcription(family):
    wordings = {w.rstrip("?.").casefold() for w in WORDINGS["read"]}
    read = [(t, s) for s in scenes(family) for t in s.turns if t.question.rstrip("?.").casefold() in wordings]
    assert read
    assert all(turn.answer == (scene.text or REFUSAL_IMAGE) for turn, scene in read)


@pytest.mark.parametrize("family", ["receipt", "page"])
def test_every_step_of_a_calculation_holds_and_ends_in_the_answer(family):
    checked = 0
    for scene in scenes(family, count=150):
        for turn in scene.turns:
            if turn.task not in ("sum", "check") or turn.thinking is None:
                continue
            assert verify(turn.thinking), turn
            results = re.findall(r"(?: = | rounds to )(-?[\d.,]+)", turn.thinking)
            checked += len(results)
            assert turn.task == "check" or any(flat(result) in turn.answer for result in results), turn
    assert checked > 20


def test_a_wrong_total_is_noticed_and_a_right_one_confirmed():
    wordings = {w.rstrip("?.").casefold() for w in WORDINGS["total_right"]}
    answers = {turn.answer for s in scenes("receipt", count=400) for turn in s.turns if turn.question.rstrip("?.").casefold() in wordings}
    assert "Yes." in answers
    assert any(answer.startswith("No, it should be ") for answer in answers)


def test_what_is_refused_is_not_on_the_document():
    slotless = {w.rstrip("?.").casefold(): key for key in ABSENT for w in WORDINGS[key]}
    priced = [re.compile(re.escape(w).replace(r"\{item\}", "(?P<item>.+)"), re.IGNORECASE) for w in WORDINGS["price"]]
    seen = set()
    for scene in scenes("receipt", count=400):
        folded = scene.text.casefold()
        for turn in scene.turns:
            if turn.task != "refuse":
                continue
            assert turn.answer == REFUSAL
            key = slotless.get(turn.question.rstrip("?.").casefold())
            if key is not None:
                seen.add(key)
                assert not any(word in folded for word in ABSENT[key]), (turn, scene.text)
            if key == "date":
                assert not DATE.search(scene.text)
            if key == "phone":
                assert not re.search(r"\+\d|\(\d{3}\)|\b(tel|phone|telephone|ph)\b", folded), scene.text
            if key == "time":
                assert not re.search(r"\d:\d\d", scene.text)
            for pattern in priced:
                if (found := pattern.fullmatch(turn.question.rstrip("?.") + "?")) and found["item"]:
                    assert found["item"].removeprefix("the ").casefold() not in folded
    assert {"phone", "date", "discount"} <= seen


def test_refusals_are_a_tenth_of_the_questions_about_documents():
    for family in ("receipt", "page"):
        tasks = [turn.task for scene in scenes(family, count=200) for turn in scene.turns]
        assert 0.07 < tasks.count("refuse") / len(tasks) < 0.2


def test_pictures_without_text_answer_nothing():
    for scene in scenes("blank", severity=1.0):
        assert scene.text == ""
        assert scene.chars.shape == (0, 3)
        assert {turn.answer for turn in scene.turns} == {REFUSAL_IMAGE}


@pytest.mark.parametrize("family", FAMILIES)
def test_thinking_is_there_when_demanded_and_never_when_forbidden(family):
    turns = [turn for scene in scenes(family, count=80) for turn in scene.turns]
    assert all(turn.thinking for turn in turns if turn.mode == "on")
    assert all(turn.thinking is None for turn in turns if turn.mode == "off")
    modes = [turn.mode for turn in turns]
    assert 0.45 < modes.count("auto") / len(modes) < 0.75
    assert modes.count("on") > 0
    assert modes.count("off") > 0


@pytest.mark.parametrize("family", PRINTED)
def test_the_smallest_text_keeps_its_x_height(family):

    for seed in range(60):
        try:
            draft = BUILDERS[family](Content(random.Random(seed), PACK, "train"))
        except Overfull:
            continue
        assert draft.x_height >= MIN_X_HEIGHT


def test_paper_and_ink_differ_by_a_quarter_of_the_range():

    for seed in range(500):
        paper, ink = Content(random.Random(seed), PACK, "train").colours()
        assert abs(luminance(paper) - luminance(ink)) >= 0.25 * 255


def choices() -> list[tuple[str, Choice]]:
    found = []
    for module in pkgutil.iter_modules(documents.__path__, "kimi_vl.training.synth.documents."):
        if module.name.rsplit(".", 1)[1] in (
            *("scribes", "receipt_heads", "receipt_items", "receipt_totals", "invoices", "rows", "forms", "tables", "pages"),
            *("goods", "papers", "tickets", "bands", "particulars"),
        ):
            found += [(name, value) for name, value in vars(importlib.import_module(module.name)).items() if isinstance(value, Choice)]
    return found


def test_held_out_pieces_of_layout_are_disjoint_from_those_trained_on():
    assert len(choices()) >= 25
    for name, choice in choices():
        assert not set(choice.seen) & set(choice.held_out), name
        assert choice.held_out, name


def test_only_split_test_prints_held_out_pieces_of_layout():

    rng = random.Random(0)
    for name, choice in choices():
        for split in ("train", "val"):
            assert all(choice.pick(rng, split) in choice.seen for _ in range(100)), name
        drawn = [choice.pick(rng, "test") in choice.held_out for _ in range(200)]
        assert 0.3 < np.mean(drawn) < 0.7, name


def test_rendered_receipts_show_held_out_labels_in_split_test_only():
    labels = ("amount payable", "final total", "voucher", "you were served by", "price reduction", "slip", "kiosk")
    text = {split: "\n".join(s.text for s in scenes("receipt", split, 120)).casefold() for split in SPLITS}
    assert not any(label in text["train"] or label in text["val"] for label in labels)
    assert sum(label in text["test"] for label in labels) >= 4


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("split", SPLITS)
def test_nothing_but_the_asked_split_of_the_pack_is_used(family, split):
    """A pack that has fonts and text for one split only is enough for it: every other access would be a KeyError."""
    # Which icons are asked about is decided by the names of the sets for training; their pictures are taken away.
    named = [dataclasses.replace(icons, atlas=b"") for icons in PACK.icons("train")]
    lonely = DataPack(
        {split: PACK.faces(split)},
        {(name, split): getattr(PACK, name)(split) for name in LISTS},
        digest="lonely",
        icons={"train": named, split: PACK.icons(split)},
        pages={"val" if split == "test" else split: PACK.web_pages(split)},  # the pages of "test" are files of their own
    )
    for index in range(10):
        assert fingerprint(render(family, split, 0, index, lonely)) == fingerprint(render(family, split, 0, index, PACK))


def test_every_question_has_eight_wordings_or_more_and_no_two_are_the_same():
    for key, wordings in WORDINGS.items():
        assert len(wordings) >= 8, key
        assert len(set(wordings)) == len(wordings), key


def test_text_that_leaves_the_canvas_is_refused():
    font = open_font(PACK.faces("train")[0], 20)
    canvas = Canvas(100, 40, (255, 255, 255))
    for x, baseline in ((80, 25), (0, 25), (10, 5), (10, 39)):
        with pytest.raises(Overfull):
            canvas.write(x, baseline, "wide text", font, (0, 0, 0))


def test_a_name_that_would_run_into_its_price_is_not_set():

    content = Content(random.Random(0), PACK, "train")
    font = open_font(PACK.faces("train")[0], 16)
    fonts = {"plain": font, "bold": font, "big": font}
    rows = [Row(("Extraordinarily long article name " * 3, "12.50"), "pair")]
    with pytest.raises(Overfull):
        choose_setting(content, rows, fonts, 320, (0, 0, 0), 0)


def test_unknown_families_and_splits_are_named_in_the_error():
    with pytest.raises(InputError, match=r"no family 'poster'.*receipt"):
        render("poster", "train", 0, 0, PACK)
    with pytest.raises(InputError, match=r"no split 'dev'.*test"):
        render("line", "dev", 0, 0, PACK)
