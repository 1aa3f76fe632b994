"""Pictures of shapes: counts and boxes are recomputed from the pixels, facts by an oracle of their own."""

import random
import re
from collections.abc import Callable, Iterator
from string import Formatter

import cv2
import numpy as np
import pytest

from kimi_vl.training.packing import TASKS
from kimi_vl.training.synth.augment import augment
from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.pictures import pictures
from kimi_vl.training.synth.pictures.pictures import draw_kinds, is_held_out, make_shape
from kimi_vl.training.synth.pictures.shapes import COLOURS, DIRECTIONS, SHAPES, Shape, contours, paint, plural
from kimi_vl.training.synth.pictures.turns import Picture, PictureTurns
from kimi_vl.training.synth.places import bounds, box_at, corners, point_at, settle
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import REFUSAL_IMAGE, Overfull, Scene, Turn
from kimi_vl.training.synth.wordings.wordings import WORDINGS
from kimi_vl.training.synth.world import render

PACK = DataPack.builtin()
BOX = re.compile(r"\[([01]\.\d{3}), ([01]\.\d{3}), ([01]\.\d{3}), ([01]\.\d{3})\]")
POINT = re.compile(r"\(([01]\.\d{3}), ([01]\.\d{3})\)")

_NAMED = f"(?:an? )?(?:(?:{'|'.join(COLOURS)}) )?(?:{'|'.join(n for name in (*SHAPES, 'shape') for n in (plural(name), name))})"
SLOTS = {"thing": _NAMED, "things": _NAMED, "a": _NAMED, "b": _NAMED, "side": "left of|right of|above|below"}


def asked(key: str, question: str) -> dict[str, str] | None:
    """The slots of a question that is one of the key's wordings, however carelessly typed."""
    for wording in WORDINGS[key]:
        pattern, seen = "", set()
        for text, slot, _, _ in Formatter().parse(wording.rstrip("?.")):
            pattern += re.escape(text)
            if slot:
                pattern += f"(?P={slot})" if slot in seen else f"(?P<{slot}>{SLOTS.get(slot, '.+')})"
                seen.add(slot)
        if found := re.fullmatch(pattern, question.rstrip("?."), re.IGNORECASE):
            return found.groupdict()
    return None


def scenes(count: int, split: str = "train", severity: float = 0.0) -> list[Scene]:
    return [render("scene", split, 11, index, PACK, severity=severity) for index in range(count)]


def turns_of(key: str, count: int, severity: float = 0.0) -> Iterator[tuple[Scene, Turn, dict[str, str]]]:
    for scene in scenes(count, severity=severity):
        for turn in scene.turns:
            slots = asked(key, turn.question)
            if slots is not None:
                yield scene, turn, slots


def standing_out(image: np.ndarray, distance: float = 70) -> np.ndarray:
    """Pixels unlike the ground: grounds vary by 60 at most, shapes differ from them by 110."""
    rim = np.concatenate([image[:6].reshape(-1, 3), image[-6:].reshape(-1, 3), image[:, :6].reshape(-1, 3), image[:, -6:].reshape(-1, 3)])
    return np.linalg.norm(image.astype(float) - np.median(rim, axis=0), axis=2) > distance


def blobs(image: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Box (x0, y0, x1, y1 in pixels) and colour's name of everything that stands out."""
    count, marked, stats, _ = cv2.connectedComponentsWithStats(standing_out(image).astype(np.uint8), connectivity=8)
    found = []
    for k in range(1, count):
        x, y, width, height, area = stats[k]
        if area > 80:
            colour = np.median(image[marked == k], axis=0)
            name = min(COLOURS, key=lambda n: float(np.linalg.norm(colour - COLOURS[n])))
            found.append((np.array([x, y, x + width, y + height]), name))
    return found


def pixels(turn: Turn, scene: Scene) -> np.ndarray:
    assert turn.box is not None
    height, width = scene.image.shape[:2]
    return np.array(turn.box) * (width, height, width, height)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    common = np.prod(np.clip(high - low, 0, None))
    return float(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))


def test_the_counted_shapes_are_on_the_picture():
    checked = 0
    for scene, turn, _ in turns_of("shape_count", 500):
        if not scene.text:
            assert turn.answer == str(len(blobs(scene.image))), turn
            checked += 1
    assert checked > 60


def test_the_counted_shapes_of_a_colour_have_that_colour():
    checked = 0
    for scene, turn, slots in turns_of("shape_count_some", 700):
        words = slots["things"].split(" ")
        if scene.text or len(words) != 2 or words[1] != "shapes":
            continue
        assert turn.answer == str([name for _, name in blobs(scene.image)].count(words[0])), turn
        checked += 1
    assert checked > 20


def test_long_counts_are_listed_before_they_are_answered():
    listed = 0
    for _, turn, slots in turns_of("shape_count_some", 500):
        if turn.thinking is None or turn.answer == "0":
            continue
        rows = turn.thinking.split("\n")
        singular = {word: word for word in (*SHAPES, *COLOURS, "shape")} | {plural(word): word for word in (*SHAPES, "shape")}
        words = {singular[word] for word in slots["things"].split(" ")} - {"shape"}
        assert len(rows) == int(turn.answer)
        assert all(row.startswith(f"{k}. ") and words <= set(row.split(" ")) for k, row in enumerate(rows, 1)), turn
        listed += 1
    assert listed > 30


@pytest.mark.parametrize("key", ["box_of", "point_of"])
def test_the_region_of_an_answer_holds_the_only_thing_of_its_colour(key):
    checked = 0
    for scene, turn, slots in turns_of(key, 700):
        colour, _, name = slots["thing"].lower().partition(" ")
        if name != "shape" or scene.text or turn.task == "refuse":
            continue
        x0, y0, x1, y1 = pixels(turn, scene)
        alike = np.linalg.norm(scene.image.astype(float) - COLOURS[colour], axis=2) < 45
        ys, xs = np.nonzero(alike)
        inside = (xs + 1 > x0 - 1) & (xs < x1 + 1) & (ys + 1 > y0 - 1) & (ys < y1 + 1)
        # Smooth edges of other shapes may pass through this colour; they are a pixel or two wide.
        ys_of_areas, xs_of_areas = np.nonzero(cv2.erode(alike.astype(np.uint8), np.ones((3, 3), np.uint8)))
        areas_inside = (xs_of_areas > x0 - 1) & (xs_of_areas < x1 + 1) & (ys_of_areas > y0 - 1) & (ys_of_areas < y1 + 1)
        assert areas_inside.mean() > 0.99, turn
        drawn = np.array([xs[inside].min(), ys[inside].min(), xs[inside].max() + 1, ys[inside].max() + 1])
        assert overlap(drawn, np.array([x0, y0, x1, y1])) > 0.75, turn  # an edge of another tone is not of this colour
        checked += 1
    assert checked > 10


def test_every_box_is_drawn_tightly_around_a_blob():
    checked = 0
    for scene in scenes(300):
        found = [] if scene.text else [box for box, _ in blobs(scene.image)]
        for turn in scene.turns if found else ():
            if turn.box is not None:
                assert max(overlap(pixels(turn, scene), box) for box in found) > 0.78, turn  # tips are thinner than a pixel
                checked += 1
    assert checked > 80


def test_coordinates_have_three_decimals_and_points_are_the_middle_of_the_box():
    boxes = points = 0
    for scene in scenes(300, severity=1.0):
        for turn in scene.turns:
            if turn.box is None:
                assert turn.answer == REFUSAL_IMAGE or "\n" in turn.answer or turn.task not in ("box", "point"), turn
                continue
            assert turn.task in ("box", "point")
            x0, y0, x1, y1 = turn.box
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
            if turn.task == "box":
                found = BOX.fullmatch(turn.answer)
                expected = turn.box
                boxes += 1
            else:
                found = POINT.fullmatch(turn.answer)
                expected = ((x0 + x1) / 2, (y0 + y1) / 2)
                points += 1
            assert found, turn
            assert [float(value) for value in found.groups()] == pytest.approx(expected, abs=0.0006)
    assert boxes > 60
    assert points > 60


def test_degradation_moves_boxes_along_with_their_pixels(monkeypatch):
    """Only what moves pixels is left on, so that they can still be told from the ground."""
    for step in ("_fade", "_texture", "_light", "_resample", "_blur", "_noise", "_jpeg"):
        monkeypatch.setattr(f"kimi_vl.training.synth.augment.{step}", lambda _, image, *rest: image)
    moved, stayed = [], []
    for clean, worn in zip(scenes(300), scenes(300, severity=1.0), strict=True):
        if np.array_equal(clean.image, worn.image):
            continue
        top, left = worn.image.shape[0] // 12, worn.image.shape[1] // 12  # beyond may be the table that the page lies on
        drawn = [box + np.tile([left, top], 2) for box, _ in blobs(np.ascontiguousarray(worn.image[top:-top, left:-left]))]
        for before, after in zip(clean.turns, worn.turns, strict=True):
            assert (before.box is None) == (after.box is None)
            if before.box is None or np.abs(np.subtract(before.box, after.box)).max() < 0.01 or not drawn:
                continue
            moved.append(max(overlap(pixels(after, worn), box) for box in drawn))
            stayed.append(max(overlap(pixels(before, clean), box) for box in drawn))
    assert len(moved) > 12
    assert np.median(moved) > 0.85
    assert np.median(moved) > np.median(stayed) + 0.05


def test_places_move_with_the_picture_and_may_leave_it():
    page = np.full((300, 400, 3), 240, np.uint8)
    page[100:140, 150:230] = (200, 20, 20)
    rows = np.insert(np.concatenate([corners(150, 100, 230, 140), corners(0, 0, 400, 300)]), 0, 0, axis=1)
    shifted = 0
    for seed in range(60):
        image, moved = augment(random.Random(seed), page, rows, x_height=20.0, severity=1.0, coloured=True)
        x0, y0, x1, y1 = np.array(bounds(moved[:4, 1:], 400, 300)) * (400, 300, 400, 300)
        shifted += abs(x0 - 150) > 1 or abs(y0 - 100) > 1
        ys, xs = np.nonzero(image[..., 0].astype(int) - image[..., 1] > 45)
        inside = (xs >= x0 - 3) & (xs <= x1 + 2) & (ys >= y0 - 3) & (ys <= y1 + 2)
        assert inside.sum() > 2000, seed
        assert (~inside)[(xs > 60) & (xs < 340) & (ys > 50) & (ys < 250)].sum() < 40, seed
    assert shifted > 8


def test_coloured_pictures_are_never_made_grey():
    page = np.full((120, 120, 3), 250, np.uint8)
    page[30:90, 30:90] = (214, 36, 40)
    nothing = np.zeros((0, 3), np.float32)

    def redness(coloured: bool) -> list[float]:
        images = [augment(random.Random(s), page, nothing, x_height=20, coloured=coloured)[0] for s in range(200)]
        return [float(image[50:70, 50:70, 0].mean() - image[50:70, 50:70, 1].mean()) for image in images]

    assert min(redness(True)) > 30
    assert min(redness(False)) < 1


# Facts -------------------------------------------------------------------------------------------------------------------


def known(*kinds: tuple[str, str, float, float, float], labels: dict[int, str] | None = None) -> Callable[[int], PictureTurns]:
    """Turns about shapes (name, colour, x, y, radius) on 448 pixels."""
    shapes = []
    for name, colour, x, y, radius in kinds:
        direction = DIRECTIONS[0] if name == "arrow" else ""
        shapes.append(Shape(name, colour, COLOURS[colour], x, y, radius, contours(name, x, y, radius, 0), direction))
    picture = Picture(448, tuple(shapes), labels or {}, "")

    def turns(seed: int) -> PictureTurns:
        rng = random.Random(seed)
        return PictureTurns(Content(rng, PACK, "train"), Interview(rng, "\n".join((labels or {}).values()), image_only=True), picture)

    return turns


MIXED = known(
    ("star", "red", 80, 80, 60),
    ("circle", "blue", 350, 100, 20),
    ("star", "blue", 100, 330, 30),
    ("arrow", "green", 300, 350, 40),
    ("heart", "red", 220, 220, 30),
    labels={1: "27"},
)


@pytest.mark.parametrize(
    ("maker", "answers"),
    [
        ("count_all", {"5"}),
        ("colour_of", {"blue", "green", "red"}),
        ("shape_of", {"arrow"}),
        ("direction", {"right"}),
        ("extreme", {"red star", "blue circle"}),
        ("most", {"blue circle"}),
        ("count_kinds", {"3", "4"}),
        ("describe", {"There are 5 shapes from left to right: a red star, a blue star, a red heart, a green arrow and a blue circle."}),
        ("labelled", {"blue circle", "<box 1>"}),
    ],
)
def test_answers_about_a_known_picture(maker, answers):
    found = {turn.answer for seed in range(200) if (turn := getattr(MIXED(seed), maker)())}
    assert found <= answers
    assert len(found) >= min(2, len(answers))  # another seed asks for something else


def test_leftmost_and_topmost_need_a_clear_distance():
    words = {"leftmost": set(), "rightmost": {"blue circle"}, "topmost": set(), "bottommost": set()}
    found: dict[str, set[str]] = {word: set() for word in words}
    for seed in range(200):
        if turn := MIXED(seed).most():
            slots = asked("outermost", turn.question)
            assert slots
            found[slots["most"]].add(turn.answer)
    assert found == words


def test_sides_agree_with_positions():
    places = {"red star": (80, 80), "blue circle": (350, 100), "blue star": (100, 330), "green arrow": (300, 350), "red heart": (220, 220)}
    short = {"circle": "blue circle", "arrow": "green arrow", "green shape": "green arrow", "heart": "red heart"}
    checked = 0
    for seed in range(300):
        for key, maker, axis in (("beside", "side", 0), ("stacked", "side", 1), ("is_side", "is_side", -1)):
            turn = getattr(MIXED(seed), maker)()
            slots = turn and asked(key, turn.question)
            if not slots:
                continue
            (ax, ay), (bx, by) = (places[short.get(slots[k].lower(), slots[k].lower())] for k in "ab")
            truth = {"left of": ax < bx, "right of": ax > bx, "above": ay < by, "below": ay > by}
            if axis < 0:
                assert turn.answer == ("Yes." if truth[slots["side"]] else "No."), turn
            else:
                assert truth[turn.answer], turn
                assert abs((bx - ax, by - ay)[axis]) > 44.8
            checked += 1
    assert checked > 200


def test_the_odd_one_is_the_only_one_of_its_colour_or_shape():
    odd = known(("star", "red", 50, 50, 30), ("star", "red", 150, 50, 30), ("star", "blue", 250, 50, 30), ("star", "red", 350, 50, 30))
    even = known(("star", "red", 50, 50, 30), ("star", "blue", 150, 50, 30), ("ring", "red", 250, 50, 30), ("ring", "blue", 350, 50, 30))
    assert odd(0).odd().answer == "blue star"
    assert even(0).odd() is None


def test_what_is_refused_is_not_on_the_picture_and_what_is_there_is_not_refused():
    present = {"red star", "blue circle", "blue star", "green arrow", "red heart", "star", "circle", "arrow", "heart"}
    refused = set()
    for seed in range(600):
        if turn := MIXED(seed).absent():
            assert turn.answer == REFUSAL_IMAGE
            assert turn.task == "refuse"
            for key in ("box_of", "point_of", "shape_colour", "label_in"):
                if slots := asked(key, turn.question):
                    refused.add(slots["thing"].lower())
        turn = MIXED(seed).exists()
        slots = turn and asked("shape_exists", turn.question)
        if slots:
            words = slots["thing"].lower().split(" ", 1)[1]
            assert (turn.answer == "Yes.") == (words in present), turn
    assert len(refused) > 50
    assert not refused & present


def test_a_label_is_refused_where_there_is_none():
    answers = {}
    for seed in range(300):
        turn = MIXED(seed).label_in()
        if turn and (slots := asked("label_in", turn.question)):
            answers[slots["thing"].lower()] = turn.answer
    assert answers["circle"] == answers["blue circle"] == "27"
    assert {answer for thing, answer in answers.items() if "circle" not in thing} == {REFUSAL_IMAGE}


ROW = known(
    ("star", "red", 40, 200, 25),
    ("circle", "blue", 130, 210, 25),
    ("heart", "green", 230, 190, 25),
    ("diamond", "purple", 420, 205, 25),
)


@pytest.mark.parametrize(
    ("maker", "key", "truth"),
    [
        ("nearest", "nearest", {"star": "blue circle", "heart": "blue circle", "diamond": "green heart"}),
        ("nearest", "farthest", {"star": "purple diamond", "circle": "purple diamond", "diamond": "red star"}),
        ("between", "between", {"circle heart": "", "star heart": "blue circle", "circle diamond": "green heart"}),
    ],
)
def test_near_far_and_between_are_answered_where_they_are_clear(maker, key, truth):
    words = {"red shape": "star", "blue shape": "circle", "green shape": "heart", "purple shape": "diamond"}
    found = {}
    for seed in range(500):
        turn = getattr(ROW(seed), maker)()
        slots = turn and asked(key, turn.question)
        if slots:
            said = [slots[k].lower() for k in ("thing", "a", "b") if k in slots]
            order = ("star", "circle", "heart", "diamond")
            found[" ".join(sorted((words.get(s, s.split(" ")[-1]) for s in said), key=order.index))] = turn.answer
    assert found == {asked: answer for asked, answer in truth.items() if answer}


def test_shapes_in_order_and_their_places_in_it():
    made = [turn for seed in range(300) if (turn := ROW(seed).ordered())]
    assert {turn.answer for turn in made} == {
        "red star, blue circle, green heart, purple diamond",
        "purple diamond, green heart, blue circle, red star",
    }  # from top to bottom they are too close
    assert all(turn.answer.startswith("red") == ("left to right" in turn.question.lower()) for turn in made)
    for seed in range(300):
        if turn := ROW(seed).nth():
            k = ("second", "third", "fourth").index(re.search("second|third|fourth", turn.question.lower())[0]) + 1
            row = ("red star", "blue circle", "green heart", "purple diamond")
            assert turn.answer == (row if "left" in turn.question.lower() else row[::-1])[k]


def test_pairs_are_drawn_as_their_relation_says():
    """Told from pixels: one blob or two, and whether the second one's box lies in the first one's."""
    seen: dict[str, int] = {}
    for seed in range(400):
        content = Content(random.Random(seed), PACK, "train")
        first = make_shape(content, ("circle", "red"), (150, 150, 80))
        try:
            pair, relation = pictures.pair_up(content, [first], ["red", "blue", "yellow", "black"])
        except Overfull:
            continue
        masks = []
        for shape in pair:
            canvas = Canvas(300, 300, (255, 255, 255))
            paint(canvas, shape.contours, (0, 0, 0))
            masks.append(canvas.rgb[..., 0] < 128)
        a, b = masks
        common = int((a & b).sum())
        grown = cv2.dilate(a.astype(np.uint8), np.ones((7, 7), np.uint8)).astype(bool)
        expected = "inside" if common == b.sum() else "overlapping" if common > 100 else "touching" if (grown & b).any() else "apart"
        assert relation == expected, seed
        seen[relation] = seen.get(relation, 0) + 1
    assert set(seen) == {"inside", "overlapping", "touching", "apart"}
    assert min(seen.values()) > 15


def test_questions_about_a_pair_follow_its_relation():
    shapes = [
        Shape(name, colour, COLOURS[colour], 200, 200, r, contours(name, 200, 200, r, 0), "")
        for name, colour, r in (("circle", "red", 90), ("square", "blue", 30))
    ]
    counted: dict[tuple[str, str], int] = {}
    for relation in ("inside", "overlapping", "touching", "apart"):
        for seed in range(200):
            rng = random.Random(seed)
            turns = PictureTurns(
                Content(rng, PACK, "train"), Interview(rng, "", image_only=True), Picture(448, tuple(shapes), {}, "", relation)
            )
            if (turn := turns.paired()) is None:
                continue
            key = next(k for k in ("is_inside", "is_overlapping", "is_touching") if asked(k, turn.question))
            slots = asked(key, turn.question)
            yes = key == f"is_{relation}" and (key != "is_inside" or slots["a"].lower() == "blue square")
            assert turn.answer == ("Yes." if yes else "No."), turn
            counted[relation, turn.answer] = counted.get((relation, turn.answer), 0) + 1
            assert not any(t.task in ("count", "box", "point") and t.answer != REFUSAL_IMAGE for t in turns.draw(4))
    assert sum(n for (_, answer), n in counted.items() if answer == "Yes.") > 200
    assert sum(n for (_, answer), n in counted.items() if answer == "No.") > 200


def test_patterns_are_drawn_in_shades_of_the_shape_and_asked_about():
    plain = {}
    for pattern in ("solid", "outlined", "striped", "dotted"):
        content = Content(random.Random(1), PACK, "train")
        shape = make_shape(content, ("square", "red"), (100, 100, 60))._replace(pattern=pattern)
        canvas = Canvas(200, 200, (255, 255, 255))
        pictures.draw_shape(canvas, shape, "solid", 255)
        image = canvas.rgb[..., :3].astype(int)
        (box,) = [box for box, _ in blobs(image.astype(np.uint8))]
        plain[pattern] = box.tolist()
        inner = image[80:120, 80:120].reshape(-1, 3)
        if pattern == "outlined":
            assert inner.min() == 255
        else:
            assert (len(np.unique(inner, axis=0)) == 1) == (pattern == "solid")
            assert (inner[:, 0] > inner[:, 1] + 60).all()
    assert len({tuple(box) for box in plain.values()}) == 1
    shapes = tuple(
        Shape("heart", colour, COLOURS[colour], x, 200, 30, contours("heart", x, 200, 30, 0), "", pattern)
        for colour, x, pattern in (("red", 60, "dotted"), ("blue", 200, "solid"), ("green", 340, "solid"))
    )
    said = set()
    for seed in range(100):
        rng = random.Random(seed)
        turn = PictureTurns(Content(rng, PACK, "train"), Interview(rng, "", image_only=True), Picture(448, shapes, {}, "")).filling()
        if turn and (slots := asked("filling", turn.question)):
            assert turn.answer == ("dotted" if "red" in slots["thing"].lower() else "solid")
            said.add(turn.answer)
        elif turn:
            assert turn.answer == "red heart"
            said.add(turn.answer)
    assert said == {"dotted", "solid", "red heart"}


def test_an_empty_picture_has_nothing_to_count():
    turns = [
        turn for scene in scenes(400) if not scene.text for turn in scene.turns if turn.task == "count" and not len(blobs(scene.image))
    ]
    assert len(turns) > 5
    assert {turn.answer for turn in turns} == {"0"}


def test_every_box_of_a_list_is_named_and_around_a_blob():
    checked = 0
    for scene, turn, _ in turns_of("all_boxes", 500):
        if scene.text:
            continue
        height, width = scene.image.shape[:2]
        found = blobs(scene.image)
        rows = turn.answer.split("\n")
        assert len(rows) == len(found)
        for row in rows:
            named, values = row.split(": ")
            box = np.array([float(v) for v in BOX.fullmatch(values).groups()]) * (width, height, width, height)
            colour = max(found, key=lambda blob: overlap(box, blob[0]))
            assert overlap(box, colour[0]) > 0.75
            assert named.startswith(colour[1])
            checked += 1
    assert checked > 30


# Layout ------------------------------------------------------------------------------------------------------------------


def test_named_places_become_coordinates_and_a_single_one_scores_the_turn():
    outlines = [corners(10, 20, 60, 80), corners(-5, 0, 50, 120)]
    both = Turn(f"What is at {point_at(0)}?", f"{box_at(0)}\n{box_at(1)}", None, "auto", "box")
    one = Turn("Where?", point_at(1), f"near {box_at(0)}", "on", "point")
    first, second = settle([both, one], outlines, 100, 100)
    assert first.question == "What is at (0.350, 0.500)?"
    assert first.answer == "[0.100, 0.200, 0.600, 0.800]\n[0.000, 0.000, 0.500, 1.000]"
    assert first.box is None
    assert second.answer == "(0.250, 0.500)"
    assert second.thinking == "near [0.10, 0.20, 0.60, 0.80]"
    assert second.box == (0.0, 0.0, 0.5, 1.0)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_filled_within_its_outline(name):
    canvas = Canvas(200, 200, (255, 255, 255))
    drawn = contours(name, 100, 100, 60, 0)
    paint(canvas, drawn, (0, 0, 0))
    ys, xs = np.nonzero(canvas.rgb[..., 0] < 128)
    box = np.array(bounds(drawn[0], 200, 200)) * 200
    assert [xs.min(), ys.min(), xs.max(), ys.max()] == pytest.approx(box, abs=1.6)
    assert 55 <= (box[2:] - box[:2]).max() <= 121
    assert len(xs) > 2200


def test_held_out_pairs_of_shape_and_colour_are_drawn_in_split_test_only():
    def drawn(split: str) -> set[tuple[str, str]]:
        content = Content(random.Random(3), PACK, split)
        return {kind for _ in range(600) for kind in draw_kinds(content, 6, list(COLOURS))}

    assert not any(is_held_out(*kind) for kind in drawn("train") | drawn("val"))
    assert sum(is_held_out(*kind) for kind in drawn("test")) >= 12


def test_held_out_looks_are_disjoint_from_those_trained_on():
    choices = [value for value in vars(pictures).values() if isinstance(value, Choice)]
    assert len(choices) == 3
    assert all(choice.held_out and not set(choice.seen) & set(choice.held_out) for choice in choices)


def test_greys_have_no_hue():
    content = Content(random.Random(0), PACK, "train")
    for _ in range(50):
        fill = make_shape(content, ("circle", "grey"), (50, 50, 20)).fill
        assert max(fill) - min(fill) <= 4


def test_tasks_are_known_to_the_loss_table():
    tasks = {turn.task for family in ("scene", "gui") for k in range(150) for turn in render(family, "train", 1, k, PACK).turns}
    assert {"point", "box", "relation", "state", "count"} <= tasks <= set(TASKS)
