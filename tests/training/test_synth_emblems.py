"""Pictures of icons: names, counts and places are compared with what the turns' own facts and the pixels say."""

import io
import random
import re

import numpy as np
import pytest
from PIL import Image

from kimi_vl.training.packing import TASKS
from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.pack import ICON_KINDS, SPLITS, DataPack
from kimi_vl.training.synth.pictures import emblems
from kimi_vl.training.synth.pictures.emblem_turns import Emblem, EmblemTurns, Plate
from kimi_vl.training.synth.pictures.icons import stamp, tiles
from kimi_vl.training.synth.places import corners, settle
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import REFUSAL_IMAGE, Overfull, Turn
from kimi_vl.training.synth.screens.widgets import Screen
from kimi_vl.training.synth.sources import icons as icon_sources

PACK = DataPack.builtin()
NAMES = ("cat", "dog", "key", "house", "fish")


def emblem(name: str, x: float, y: float, side: int = 60, colour: str = "", caption: str = "") -> Emblem:
    return Emblem(name, colour, (x - side / 2, y - side / 2, x + side / 2, y + side / 2), side, caption)


def turns(*found: Emblem, kind: str = "things", text: str = "", count: int = 400) -> list[Turn]:
    """Every turn that a plate of 400 x 400 pixels gives, with coordinates."""
    made: list[Turn] = []
    for seed in range(count // 8):
        content = Content(random.Random(seed), PACK, "train")
        interview = Interview(content.rng, text, image_only=True)
        made += EmblemTurns(content, interview, Plate(kind, 400, found, NAMES, (400, 400))).draw(8)
    return settle(made, [corners(*e.box) for e in found], 400, 400)


def answers(made: list[Turn], pattern: str) -> set[str]:
    return {turn.answer for turn in made if re.search(pattern, turn.question, re.IGNORECASE)}


def draft(index: int, split: str = "train"):
    content = Content(random.Random(index), PACK, split)
    while True:
        try:
            return emblems.emblem(content)
        except Overfull:
            continue


def test_a_single_icon_is_named():
    assert {turn.answer for turn in turns(emblem("cat", 200, 200)) if turn.task == "name"} == {"cat"}
    assert {turn.answer for turn in turns(emblem("Kenya", 200, 200), kind="flags") if turn.task == "name"} == {"Kenya"}


def test_an_icon_is_named_by_the_place_that_is_asked_for():
    made = turns(emblem("cat", 100, 200), emblem("key", 300, 200))
    named = [(turn, [float(n) for n in re.findall(r"\d\.\d{3}", turn.question)]) for turn in made if turn.task == "name"]
    asked = [(turn.answer, (where[0] + where[-2]) / 2) for turn, where in named if where]
    assert len(asked) > 20
    assert all(answer == ("cat" if x < 0.5 else "key") for answer, x in asked)


def test_icons_are_counted_and_absent_ones_are_none():
    made = turns(*(emblem("dog", 60 + 90 * k, 100) for k in range(3)), emblem("key", 200, 300))
    assert answers(made, r"(many|number of|count( all)?( the)?) (dogs|dog icons)") == {"3"}
    assert answers(made, r"(many|number of|count( all)?( the)?) (keys|key icons)") == {"1"}
    assert answers(made, r"(many|number of|count( all)?( the)?) (cats|cat icons|houses|house icons)") == {"0"}
    assert answers(made, r"\b(a|an) (cat|house)( icon)?\b") == {"No."}
    assert answers(made, r"\b(a|an) (key)( icon)?\b") == {"Yes."}


def test_relations_follow_the_places():
    made = turns(emblem("cat", 100, 80), emblem("key", 300, 320))
    sides = {(turn.question, turn.answer) for turn in made if turn.task == "relation"}
    assert sides
    for question, answer in sides:
        named = re.findall(r"\b(?:cat|key)\b", question.lower())
        first = named[-1 if re.match(r"(on|to) which side", question, re.IGNORECASE) else 0]
        if answer in ("Yes.", "No."):
            side = re.search(r"left of|right of|above|below", question, re.IGNORECASE)
            assert side
            true = side[0].lower() in (("left of", "above") if first == "cat" else ("right of", "below"))
            assert answer == ("Yes." if true else "No."), question
        else:
            assert answer in (("left of", "above") if first == "cat" else ("right of", "below")), question
    assert answers(made, r"leftmost|topmost") == {"cat"}
    assert answers(made, r"rightmost|bottommost") == {"key"}


def test_boxes_and_points_lie_on_the_icon_that_is_meant():
    made = turns(emblem("cat", 100, 80), emblem("key", 300, 320))
    placed = [turn for turn in made if turn.box and turn.task in ("box", "point")]
    assert {turn.task for turn in placed} == {"box", "point"}
    for turn in placed:
        x, y = (100, 80) if re.search(r"\bcat\b", turn.question, re.IGNORECASE) else (300, 320)
        assert turn.box == pytest.approx(((x - 30) / 400, (y - 30) / 400, (x + 30) / 400, (y + 30) / 400))


def test_nothing_is_called_by_a_name_that_two_icons_have():
    made = turns(emblem("cat", 100, 80), emblem("cat", 300, 80), emblem("key", 200, 320))
    placed = [turn for turn in made if turn.box and turn.task in ("box", "point")]
    assert placed
    assert all("key" in turn.question for turn in placed)


def test_captions_are_read_below_their_icon_and_missing_things_are_refused():
    found = (emblem("cat", 100, 80, caption="Monday"), emblem("key", 300, 80, caption="Friday"))
    made = turns(*found, text="Monday Friday")
    assert answers(made, r"(caption|below|under|label).*\bcat\b") == {"Monday"}
    assert answers(made, r"Friday") == {"key"}
    refused = [turn for turn in made if turn.answer == REFUSAL_IMAGE]
    assert refused
    assert not any(re.search(r"\b(cat|key)\b", turn.question, re.IGNORECASE) for turn in refused)


def test_the_odd_one_out_is_the_lonely_one_and_lists_are_in_reading_order():
    made = turns(emblem("fish", 100, 105), emblem("fish", 300, 95), emblem("key", 100, 300), emblem("fish", 300, 300))
    assert answers(made, r"odd one|differ|belong|fit in|unlike") == {"key"}
    rows = turns(emblem("cat", 300, 95), emblem("dog", 100, 105), emblem("key", 100, 300), emblem("fish", 300, 300))
    assert answers(rows, r"^(list|name (all|every))") == {"dog, cat, key, fish"}


def test_colours_are_asked_of_signs_only():
    made = turns(emblem("cat", 100, 80, colour="red"), emblem("key", 300, 320, colour="blue"), kind="signs")
    assert answers(made, r"colou?r.*\bcat\b") == {"red"}
    assert "key" in answers(made, r"\bblue\b")
    assert not answers(turns(emblem("cat", 100, 80), emblem("key", 300, 320)), r"colou?r")


@pytest.mark.parametrize("split", SPLITS)
def test_drawn_icons_are_where_their_outlines_say(split):
    seen = 0
    for index in range(40):
        made = draft(index, split)
        image, _, text = made.canvas.finish(made.height)
        asked = made.ask(Interview(random.Random(index), text, image_only=True))
        assert asked
        assert {turn.task for turn in asked} <= set(TASKS)
        for outline in made.outlines:
            (x0, y0), (x1, y1) = outline[0], outline[2]
            assert -1 <= x0 < x1 <= image.shape[1] + 1
            assert -1 <= y0 < y1 <= image.shape[0] + 1
            inside = image[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1].reshape(-1, 3).astype(int)
            seen += np.ptp(inside, axis=0).max() > 40
    assert seen > 60


def test_a_stamped_tile_covers_its_inked_box_only():
    (icons,) = [icons for icons in PACK.icons("train") if icons.kind == "signs"]
    canvas = Canvas(128, 128, (255, 255, 255))
    box = stamp(canvas, tiles(icons)["warning"], 16, 24, 80, (200, 0, 0))
    image = canvas.finish()[0].astype(int)
    touched = np.argwhere((image != 255).any(axis=2))
    (top, left), (bottom, right) = touched.min(0), touched.max(0)
    assert (left, top, right + 1, bottom + 1) == pytest.approx(box, abs=2.5)
    assert image[image[:, :, 0] < 255].size == 0 or image[:, :, 0].min() >= 190
    assert image[70, 56].tolist() == [200, 0, 0]


def test_a_screen_takes_its_signs_from_the_split_and_only_from_sets_that_fill_it(monkeypatch):
    assert not Screen(Content(random.Random(0), PACK, "train"), 300, 300).signs
    monkeypatch.setattr("kimi_vl.training.synth.screens.widgets.SIGNS", 2)
    drawn = [Screen(Content(random.Random(seed), PACK, "test"), 300, 300) for seed in range(20)]
    (icons,) = [icons for icons in PACK.icons("test") if icons.kind == "signs"]
    signed = [screen for screen in drawn if screen.signs]
    assert 0 < len(signed) < 20
    assert all(screen.signs is tiles(icons) and set(screen.icon_names(2)) == set(icons.names) for screen in signed)


def test_sets_of_a_kind_are_of_different_hands_and_names_are_plain():
    for kind in ICON_KINDS:
        sources = [source for source in icon_sources.SOURCES if source.kind == kind]
        assert {source.split for source in sources} == set(SPLITS)
        assert len({source.name for source in sources}) == len(sources)
        owners = {split: {source.package for source in sources if source.split == split} for split in SPLITS}
        assert not owners["train"] & (owners["val"] | owners["test"])
        assert not owners["val"] & owners["test"]
        assert sum(source.split == "train" for source in sources) >= 6
        assert all(re.fullmatch(r"[A-Za-z-]+( [A-Za-z-]+)*", name) for name in icon_sources.entries(kind))
    assert len(icon_sources.entries("things")) >= 250
    assert len(icon_sources.entries("flags")) >= 60


def test_an_atlas_has_every_name_once_and_a_missing_drawing_is_named():
    drawings = icon_sources.Drawings.__new__(icon_sources.Drawings)
    slugs = {slug for options in icon_sources.entries("signs").values() for slug in options}
    drawings._icons = {"icons": {slug: {"body": f"<path id='{slug}'/>"} for slug in slugs}, "width": 24, "height": 24}
    drawings.package = {"name": "@iconify-json/made-up"}
    source = icon_sources.Source("made-up", "signs", "val")
    html, names = icon_sources.atlas_page(source, drawings)
    assert html.count("<img ") == len(names) == len(set(names))
    drawings._icons["icons"] = {}
    with pytest.raises(KeyError, match="made-up has none of home, house"):
        icon_sources.atlas_page(source, drawings)


def made_up(*slugs: str) -> icon_sources.Drawings:
    drawings = icon_sources.Drawings.__new__(icon_sources.Drawings)
    drawings._icons = {"icons": {slug: {"body": f"<path id='{slug}'/>"} for slug in slugs}, "width": 24, "height": 24}
    drawings.package = {"name": "@iconify-json/made-up"}
    return drawings


def test_a_set_for_training_may_lack_names_and_call_them_otherwise_but_not_by_mistake(monkeypatch):
    drawings = made_up("delete-bin-line", "heart-line", "key-line")
    source = icon_sources.Source("made-up", "signs", "train", "{}-line {}-fill", "line", ink=True)
    html, names = icon_sources.atlas_page(source, drawings)
    assert sorted(names) == ["heart", "key", "trash"]
    assert html.count("<img ") == 3
    monkeypatch.setattr(icon_sources, "mistaken", lambda: {("made-up-line", "heart"), ("made-up", "key")})
    assert set(icon_sources.atlas_page(source, drawings)[1]) == {"trash", "key"}


def test_mistaken_icons_are_of_sets_and_names_that_there_are():
    names = {source.name: set(icon_sources.entries(source.kind)) for source in icon_sources.SOURCES if source.split == "train"}
    kinds = {source.name: source.kind for source in icon_sources.SOURCES}
    assert len(icon_sources.mistaken()) > 100
    assert all(name in names[hand] for hand, name in icon_sources.mistaken())
    assert all(set(icon_sources._parsed(more)) <= set(icon_sources.entries(kind)) for kind, more in icon_sources.MORE.items() if more)
    assert set(kinds.values()) == set(ICON_KINDS)


def test_sets_for_training_are_stored_small_and_those_of_val_and_test_without_loss():
    atlas = np.zeros((64, 1024, 4), np.uint8)
    atlas[10:50, 10:50] = (200, 30, 60, 255)
    atlas[10:50, 50:54] = (200, 30, 60, 100)

    def stored(split: str, ink: bool) -> np.ndarray:
        source = icon_sources.Source("made-up", "signs", split, ink=ink)
        return np.asarray(Image.open(io.BytesIO(icon_sources.encoded(source, atlas))))

    assert np.array_equal(stored("val", False), atlas)
    assert np.array_equal(stored("test", True), atlas)
    inked = stored("train", True)
    assert not inked[:, :, :3].any()
    assert set(np.unique(inked[:, :, 3]).tolist()) == {0, 102, 255}
    assert np.abs(stored("train", False)[14:46, 14:46].astype(int) - (200, 30, 60, 255)).max() < 12


def test_only_names_that_enough_sets_for_training_draw_are_shown():
    first = PACK.icons("train")[0]
    make = type(first)
    sets = [make(f"s{k}", "things", names, b"") for k, names in enumerate((("a", "b", "c"), ("a", "b"), ("a", "b"), ("a",)))]
    pack = DataPack({s: [] for s in SPLITS}, {}, "", icons={"train": sets, "val": [], "test": []})
    assert emblems.taught_names(pack, "things") == {"a", "b"}
    assert emblems.taught_names(PACK, "things") == {"orange", "tent"}


def test_turned_icons_keep_their_opacity_and_get_a_new_box():
    tile = tiles(next(icons for icons in PACK.icons("train") if icons.kind == "things"))["tent"]
    boxes = set()
    for seed in range(40):
        moved = emblems.turned(Content(random.Random(seed), PACK, "train"), tile, "tent", "things")
        ys, xs = np.nonzero(moved.pixels[:, :, 3] > 40)
        assert moved.inked == (xs.min() / 64, ys.min() / 64, (xs.max() + 1) / 64, (ys.max() + 1) / 64)
        boxes.add(moved.inked)
        assert np.array_equal(emblems.turned(Content(random.Random(seed), PACK, "train"), tile, "tent", "flags").pixels, tile.pixels)
        arrow = emblems.turned(Content(random.Random(seed), PACK, "train"), tile, "arrow left", "signs")
        assert np.array_equal(arrow.pixels, tile.pixels)
    assert len(boxes) > 8


def test_one_of_two_names_and_the_icon_of_a_quarter_are_right():
    found = (emblem("cat", 80, 80), emblem("key", 320, 320))
    made = turns(*found)
    either = [turn for turn in made if turn.task == "name" and re.search(r" or (?!below|above)", turn.question)]
    assert len(either) > 10
    for turn in either:
        assert turn.answer in ("cat", "key")
        assert re.search(rf"\b{turn.answer}\b", turn.question, re.IGNORECASE)
        assert not re.search(rf"\b{'key' if turn.answer == 'cat' else 'cat'}\b", turn.question, re.IGNORECASE) or "0." in turn.question
    assert answers(made, r"top left") == {"cat"}
    assert answers(made, r"bottom right") == {"key"}
    assert not answers(made, r"top right|bottom left")
    assert not answers(turns(emblem("cat", 195, 80), emblem("key", 320, 320)), r"top left|bottom right")
    crowded = turns(emblem("cat", 60, 60), emblem("dog", 130, 130), emblem("key", 320, 320))
    assert not answers(crowded, r"top left")
    assert answers(crowded, r"bottom right") == {"key"}


def test_tiles_are_cut_from_the_atlas_in_the_order_of_names():
    atlas = Image.new("RGBA", (1024, 128))
    atlas.paste((10, 20, 30, 255), (64 * 3 + 8, 64 + 16, 64 * 3 + 40, 64 + 48))
    data = encoded(atlas)
    icons = type(PACK.icons("val")[0])("made", "signs", tuple(f"n{k}" for k in range(20)), data)
    tile = tiles(icons)["n19"]
    assert tile.inked == (8 / 64, 16 / 64, 40 / 64, 48 / 64)
    assert tile.pixels[20, 10].tolist() == [10, 20, 30, 255]


def encoded(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG")
    return data.getvalue()
