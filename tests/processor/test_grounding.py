"""What answers point at, in every convention, in pixels of the original; and the places drawn on a picture."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from kimi_vl.checkpoint import locate_checkpoint
from kimi_vl.errors import InputError
from kimi_vl.processor import Processor
from kimi_vl.processor.drawing import draw_places
from kimi_vl.processor.grounding import CONVENTIONS, KINDS, Action, Box, Grounding, Point, find_grounding

SIZE = (400, 200)


def boxes(text, sizes=(SIZE,), **options):
    found = find_grounding(text, sizes, **options)
    assert (found.points, found.actions, found.ignored) == ((), (), 0)
    return list(found.boxes)


def points(text, sizes=(SIZE,), **options):
    found = find_grounding(text, sizes, **options)
    assert (found.boxes, found.actions, found.ignored) == ((), (), 0)
    return list(found.points)


# Conventions -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[0.100, 0.200, 0.500, 0.400]",  # nano's own
        "The box is [0.1, 0.2, 0.5, 0.4].",
        "(0.1,0.2,0.5,0.4)",
        '{"bbox_2d": [0.1, 0.2, 0.5, 0.4]}',
        "<box>(0.1,0.2),(0.5,0.4)</box>",
        "<|box_start|>(100,200),(500,400)<|box_end|>",  # Qwen2-VL: thousandths
        "<box>[[100, 200, 500, 400]]</box>",  # InternVL: thousandths
        "[40, 40, 200, 80]",  # pixels
        '```json\n[{"bbox_2d": [40, 40, 200, 80]}]\n```',  # Qwen2.5-VL: pixels
        '{"bbox": [100, 200, 500, 400]}',  # beyond the picture's 200 pixels of height: thousandths
    ],
)
def test_each_convention_gives_the_same_box(text):
    (box,) = boxes(text)
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((40, 40, 200, 80))


@pytest.mark.parametrize(
    "text",
    [
        "(0.250, 0.500)",  # nano's own
        "[0.25, 0.5]",
        "(x=0.25, y=0.5)",  # what users of Kimi-VL ask it for
        "(x: 0.25, y: 0.5)",
        "<point>0.25 0.5</point>",
        "<point>(250, 500)</point>",
        '{"point_2d": [0.25, 0.5]}',
        '{"coordinate": [100, 100]}',
        "(100, 100)",
    ],
)
def test_each_convention_gives_the_same_point(text):
    assert points(text) == [Point(100.0, 100.0)]


def test_the_convention_is_decided_once_for_an_answer():
    found = find_grounding("a [0, 0, 1, 1]\nb [0.5, 0.5, 0.75, 1]", [SIZE])
    assert found.convention == "shares"
    assert found.boxes == (Box(0, 0, 400, 200, "a"), Box(200, 100, 300, 200, "b"))
    found = find_grounding("a [0, 0, 1, 1]\nb [10, 20, 30, 40]", [SIZE])
    assert (found.convention, found.boxes) == ("pixels", (Box(0, 0, 1, 1, "a"), Box(10, 20, 30, 40, "b")))


def test_a_caller_who_knows_the_convention_says_it():
    assert boxes("[10, 20, 30, 40]", convention="thousandths") == [Box(4, 4, 12, 8)]
    assert boxes("<box>10 20 30 40</box>", convention="pixels") == [Box(10, 20, 30, 40)]
    assert boxes("<box>10 20 30 40</box>") == [Box(4, 4, 12, 8)]


def test_numbers_in_prose_do_not_turn_shares_into_pixels():
    found = find_grounding("Of (2023, 2024): [0.1, 0.2, 0.5, 0.4]", [SIZE])
    assert (found.convention, len(found.boxes), found.ignored) == ("shares", 1, 1)


def test_pixels_are_of_the_picture_that_the_model_sees():
    assert boxes("[100, 100, 200, 300]", [(4000, 3000)], seen=[(1000, 750)]) == [Box(400, 400, 800, 1200)]


@pytest.mark.parametrize("size", [(300, 170), (3000, 1700), (5000, 5000)])
def test_shares_are_of_the_content_however_the_processor_scales_and_pads(size):
    """A mark drawn where the shares say is found at these shares of the patches without the padding."""
    processor = Processor.from_pretrained(locate_checkpoint(None)).image_processor
    (box,) = boxes("[0.5, 0.5, 0.75, 0.75]", [size], seen=[processor.resized_size(*size)])
    image = Image.new("RGB", size)
    image.paste((255, 255, 255), tuple(map(round, (box.left, box.top, box.right, box.bottom))))
    (patches,) = processor.pictures([image])
    canvas = patches.permute(0, 3, 1, 4, 2).reshape(patches.shape[0] * 14, patches.shape[1] * 14, 3).numpy()
    rows, columns = np.nonzero(canvas[..., 0] > 127)
    width, height = processor.resized_size(*size)
    edges = (columns.min() / width, rows.min() / height, (columns.max() + 1) / width, (rows.max() + 1) / height)
    assert edges == pytest.approx((0.5, 0.5, 0.75, 0.75), abs=0.01)


# Labels and pictures -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("red circle: [0.1, 0.1, 0.2, 0.2]\nblue star: [0.3, 0.3, 0.4, 0.4]", ["red circle", "blue star"]),  # nano: detect all shapes
        ("1. red circle (0.1, 0.1, 0.2, 0.2)\n- **star** [0.3, 0.3, 0.4, 0.4]", ["red circle", "star"]),
        ("cat: [0.1, 0.1, 0.2, 0.2], dog: [0.3, 0.3, 0.4, 0.4]", ["cat", "dog"]),
        ('[{"bbox_2d": [0.1, 0.1, 0.2, 0.2], "label": "cat"}, {"bbox_2d": [0.3, 0.3, 0.4, 0.4]}]', ["cat", ""]),
        ("<ref>the cat</ref><box>100 100 200 200</box> <box>300 300 400 400</box>", ["the cat", "the cat"]),
        ("[0.1, 0.1, 0.2, 0.2]\n[0.3, 0.3, 0.4, 0.4]", ["", ""]),  # nano: several of a kind
    ],
)
def test_things_are_named_by_what_stands_beside_them(text, labels):
    assert [box.label for box in boxes(text)] == labels


def test_a_picture_is_named_by_number():
    sizes = [(100, 100), (1000, 500)]
    text = 'image 2: cat (0.5, 0.5)\n(0.5, 0.5)\n[page 2] sum (0.1, 0.1) {"point": [0.2, 0.2], "image": 2}'
    assert points(text, sizes) == [
        Point(500, 250, "cat", 1),
        Point(50, 50),
        Point(100, 50, "sum", 1),
        Point(200, 100, "", 1),
    ]
    found = find_grounding("image 3: (0.5, 0.5)", sizes)
    assert (found.points, found.ignored) == ((), 1)


# Actions -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("click(x=0.25, y=0.5)", Action("click", Point(100, 100))),
        ("pyautogui.click(x=0.25, y=0.5)", Action("click", Point(100, 100))),
        ("Action:\n```python\npyautogui.doubleClick(0.25, 0.5)\n```", Action("double_click", Point(100, 100))),
        ("computer.triple_click(x=0.25, y=0.5)", Action("triple_click", Point(100, 100))),
        ("pyautogui.rightClick(x=100, y=100)", Action("right_click", Point(100, 100))),
        ("click(x=0.25, y=0.5, button='left')", Action("click", Point(100, 100))),
        ("click((0.25, 0.5))", Action("click", Point(100, 100))),
        ("pyautogui.moveTo(0.25, 0.5)", Action("move", Point(100, 100))),
        ("pyautogui.dragTo(0.25, 0.5, duration=0.5)", Action("drag", Point(100, 100))),
        ("pyautogui.click()", Action("click")),
        ("pyautogui.scroll(-5)", Action("scroll", amount=-5.0)),
        ("scroll(-5, x=0.25, y=0.5)", Action("scroll", Point(100, 100), amount=-5.0)),
        ("pyautogui.write('it\\'s (fine), [0.1, 0.2]')", Action("type", text="it's (fine), [0.1, 0.2]")),
        ('pyautogui.write(message="Zürich")', Action("type", text="Zürich")),
        ("pyautogui.press('enter')", Action("press", keys=("enter",))),
        ("pyautogui.hotkey('ctrl', 'c')", Action("press", keys=("ctrl", "c"))),
        ("pyautogui.hotkey(['ctrl', 'c'])", Action("press", keys=("ctrl", "c"))),
        ("computer.wait(seconds=3)", Action("wait", amount=3.0)),
        ("computer.wait()", Action("wait")),
        ("computer.terminate(status='success')", Action("terminate", text="success")),
    ],
)
def test_calls_are_actions(text, action):
    assert find_grounding(text, [SIZE]) == Grounding(actions=(action,), convention="pixels" if "100" in text else "shares")


def test_actions_keep_their_order_and_can_be_drawn_with_their_kind():
    found = find_grounding("pyautogui.click(x=0.5, y=0.5)\npyautogui.write('a')\npyautogui.press('tab')", [SIZE])
    assert [action.kind for action in found.actions] == ["click", "type", "press"]
    assert found.places == (Point(200, 100, "click"),)
    assert {action.kind for action in found.actions} <= set(KINDS.values())


@pytest.mark.parametrize(
    "text",
    [
        "click(x=0.25)",
        "click(x='a', y='b')",
        "click(x=__import__('os').system('true'), y=0.5)",
        "click(x=1e999, y=0.5)",
        "click(**{})",
        "click(" + "(" * 300 + ")" * 300 + ")",
        "pyautogui.write()",
        "pyautogui.press(3)",
        "scroll('far')",
        "click(x=0.25, y=1.5)",
    ],
)
def test_malformed_calls_are_counted_and_nothing_in_them_runs(text):
    found = find_grounding(text, [SIZE])
    assert (found.boxes, found.points, found.actions, found.ignored) == ((), (), (), 1)


# Malformed pieces ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "[0.5, 0.2, 0.1, 0.4]",  # turned inside out
        "[0.1, 0.2, 0.1, 0.4]",  # no area
        "[0.1, 0.2, 0.5]",
        "[0.1, 0.2, 0.5, 0.4, 0.6]",
        "[0.1, 0.2, 0.5, 1.4]",
        "[-0.5, 0.2, 0.5, 0.4]",
        "[100, 200, 5000, 6000]",
        "<box>nowhere</box>",
        '{"bbox_2d": [0.1, NaN, 0.5, 0.4]}',
        '{"bbox_2d": [0.1, "0.2", 0.5, 0.4]}',
        '{"bbox_2d": [true, false, true, true]}',
        '{"bbox_2d": [0.1, 0.2]}',
        '{"box_2d": [200, 100, 400, 500]}',  # y before x, of another family
    ],
)
def test_malformed_pieces_are_left_out_and_counted(text):
    found = find_grounding(text, [SIZE])
    assert (found.places, found.ignored) == ((), 1)


def test_a_hair_outside_is_moved_to_the_edge():
    assert boxes("[-0.01, 0, 1.015, 1]") == [Box(0, 0, 400, 200)]


def test_good_pieces_survive_beside_bad_ones():
    found = find_grounding('[{"bbox_2d": [0.9, 0.9, 0.1, 0.1]}, {"bbox_2d": [0.1, 0.1, 0.2, 0.2]}] and [1, 2, 3]', [SIZE])
    assert (len(found.boxes), found.ignored) == (1, 2)


@pytest.mark.parametrize("text", ["", "I see no star.", "$109.19", "10:30", "see [1] and (2)", "f(x) = (a, b)", '{"total": 5}', "[page 3]"])
def test_other_answers_point_at_nothing(text):
    assert find_grounding(text, [SIZE]) == Grounding()


def test_a_loop_is_cut():
    found = find_grounding("(0.5, 0.5)\n" * 5000, [SIZE])
    assert (len(found.points), found.ignored) == (1000, 4000)


@pytest.mark.parametrize(
    "text", ["[" * 50_000, '{"' * 30_000, "click(" * 15_000, "<box>" * 20_000, '[{"a":' * 15_000, "(1," * 30_000, "1 " * 50_000]
)
def test_hostile_answers_take_no_time(text):
    assert find_grounding(text, [SIZE]).places == ()


PIECES = st.sampled_from(
    [
        "[0.1, 0.2, 0.5, 0.4]",
        "(0.1, 0.2)",
        "<box>",
        "</box>",
        '{"bbox_2d": ',
        "[1,2,3,4]}",
        "click(",
        "x=0.5, y=2)",
        "\n",
        "label ",
        "image 2 ",
        "999",
        "'",
        "NaN",
    ]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=14).map("".join), st.sampled_from(CONVENTIONS))
@settings(max_examples=150, deadline=None)
def test_any_text_gives_places_inside_the_pictures(text, convention):
    sizes = [SIZE, (30, 900)]
    found = find_grounding(text, sizes, seen=[(100, 50), (30, 900)], convention=convention)
    for place in found.places:
        width, height = sizes[place.image_index]
        xs, ys = ((place.left, place.right), (place.top, place.bottom)) if isinstance(place, Box) else ((place.x,), (place.y,))
        assert list(xs) == sorted(xs)
        assert list(ys) == sorted(ys)
        assert all(0 <= x <= width for x in xs)
        assert all(0 <= y <= height for y in ys)


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4))
@settings(max_examples=100, deadline=None)
def test_what_nano_writes_is_read_back(thousandths):
    left, top, right, bottom = thousandths
    said = f"[{left / 1000:.3f}, {top / 1000:.3f}, {right / 1000:.3f}, {bottom / 1000:.3f}]"
    found = find_grounding(said, [(1000, 1000)])
    if left < right and top < bottom:
        assert found.boxes == (Box(*(pytest.approx(n) for n in thousandths)),)
    else:
        assert (found.boxes, found.ignored) == ((), 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([],), r"there must be one \(width, height\) above zero for each picture"),
        (([(0, 5)],), r"sizes are \[\(0, 5\)\]"),
    ],
)
def test_pictures_without_a_size_are_an_error(arguments, message):
    with pytest.raises(InputError, match=message):
        find_grounding("x", *arguments)
    with pytest.raises(InputError, match=r"convention is 'percent'; it must be one of 'auto', 'shares', 'thousandths', 'pixels'"):
        find_grounding("x", [SIZE], convention="percent")


# Drawing -----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ground", ["white", "black", (213, 94, 0), (128, 128, 128)])
def test_frames_are_seen_on_any_ground_and_leave_their_inside_alone(ground):
    image = Image.new("RGB", (300, 200), ground)
    drawn = draw_places(image, [Box(100, 60, 200, 140, "label")])
    assert image.getcolors() == [(60000, image.getpixel((0, 0)))]
    pixels = np.asarray(drawn).astype(int)
    assert (pixels[61:140, 101:200] == pixels[100, 150]).all()
    across = pixels[100, 90:104].sum(-1)
    assert across.max() - across.min() > 250


def test_a_point_is_marked_where_it_is():
    drawn = np.asarray(draw_places(Image.new("RGB", (300, 200), "white"), [Point(150, 100)]))
    rows, columns = np.nonzero((drawn != 255).any(-1))
    assert ((rows.min() + rows.max()) / 2, (columns.min() + columns.max()) / 2) == (pytest.approx(100, abs=1), pytest.approx(150, abs=1))


def test_labels_stay_inside_and_do_not_cover_each_other():
    places = [Box(0, 0, 50, 20, "first"), Box(0, 1, 60, 30, "second"), Point(299, 0, "third " * 30), Point(299, 199, "fourth")]
    plain = draw_places(
        Image.new("RGB", (300, 200), "white"),
        [Box(p.left, p.top, p.right, p.bottom) if isinstance(p, Box) else Point(p.x, p.y) for p in places],
    )
    drawn = draw_places(Image.new("RGB", (300, 200), "white"), places)
    assert drawn.size == (300, 200)
    assert (np.asarray(plain) != np.asarray(drawn)).any(-1).sum() > 2000


def test_places_of_other_pictures_are_not_drawn():
    drawn = draw_places(Image.new("RGB", (50, 50), "white"), [Box(5, 5, 40, 40, "", 1)])
    assert drawn.getcolors() == [(2500, (255, 255, 255))]
    assert draw_places(Image.new("L", (50, 50)), [Box(5, 5, 40, 40, "", 1)], image_index=1).mode == "RGB"


def test_numbers_of_labels_are_not_taken_for_places():
    assert re.fullmatch(r"item 2", boxes("item 2: [0.1, 0.2, 0.5, 0.4]")[0].label)
