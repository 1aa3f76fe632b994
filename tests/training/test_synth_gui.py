"""Screenshots: labels, states and boxes are compared with the characters and the pixels that were drawn."""

import random
import re
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pytest

from kimi_vl.training.synth.content import Choice, Content, luminance
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.pictures import icons
from kimi_vl.training.synth.pictures.icons import ICONS, draw_icon
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import REFUSAL_IMAGE, Overfull, Scene, Turn
from kimi_vl.training.synth.screens import compositions, screens, themes, widgets
from kimi_vl.training.synth.screens import windows as windows_module
from kimi_vl.training.synth.screens.screens import open_window
from kimi_vl.training.synth.screens.themes import THEMES, Theme
from kimi_vl.training.synth.screens.turns import ABSENT, ScreenTurns, Shown
from kimi_vl.training.synth.screens.widgets import Screen, Widget
from kimi_vl.training.synth.screens.windows import Window
from kimi_vl.training.synth.world import render

PACK = DataPack.builtin()
LABELLED = ("button", "tab", "menu", "menu item", "check box", "radio button", "entry", "app", "link")  # kinds with their label in the box


def windows(count: int, split: str = "train") -> Iterator[tuple[Window, np.ndarray, np.ndarray]]:
    """Windows with picture and characters, undegraded."""
    for seed in range(count):
        try:
            window, height = open_window(Content(random.Random(seed), PACK, split))
        except Overfull:
            continue
        image, chars, _ = window.canvas.finish(height)
        yield window, image, chars


def written(chars: np.ndarray, box: tuple[float, ...]) -> str:
    """Characters within a box of pixels, in reading order and without spaces."""
    x0, y0, x1, y1 = box
    inside = (chars[:, 1] > x0) & (chars[:, 1] < x1) & (chars[:, 2] > y0) & (chars[:, 2] < y1)
    return "".join(map(chr, chars[inside, 0].astype(int)))


def is_alone(widget: Widget, window: Window) -> bool:
    """Whether the box of a check box holds no label, which is far from it."""
    return widget.box[2] - widget.box[0] <= window.side + 2


def near(image: np.ndarray, colour: tuple[int, int, int], distance: float = 12) -> np.ndarray:
    return np.linalg.norm(image[..., :3].astype(float) - colour, axis=2) < distance


def part(image: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    return image[box[1] : box[3], box[0] : box[2]]


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_box_encloses_its_widgets_own_text(split):
    checked = set()
    for window, _, chars in windows(150, split):
        for widget in window.widgets:
            found = written(chars, widget.box)
            if widget.kind == "check box" and is_alone(widget, window):
                assert found == ""
            elif widget.kind in LABELLED:
                assert found.startswith(widget.label.replace(" ", "")), widget
                assert widget.kind == "menu item" or found == widget.label.replace(" ", "")
            elif widget.kind == "row":
                assert found == (widget.label + widget.value).replace(" ", ""), widget
            elif widget.kind in ("field", "drop-down"):
                assert found == ("" if widget.label == "Password" else (widget.value or widget.hint).replace(" ", "")), widget
            else:
                assert found == "", widget
            checked.add(widget.kind)
    assert {*LABELLED, "row", "field", "drop-down", "switch", "slider", "icon"} <= checked


def test_no_two_widgets_overlap_and_all_are_on_the_screen():
    for window, image, _ in windows(150):
        boxes = [widget.box for widget in window.widgets]
        for k, (x0, y0, x1, y1) in enumerate(boxes):
            assert 0 <= x0 < x1 <= image.shape[1]
            assert 0 <= y0 < y1 <= image.shape[0], window.widgets[k]
            for u0, v0, u1, v1 in boxes[:k]:
                assert min(x1, u1) - max(x0, u0) <= 1 or min(y1, v1) - max(y0, v0) <= 1, (window.widgets[k], boxes)


def test_marks_are_in_the_boxes_that_are_said_to_be_checked():
    states, alone, after = [], 0, 0
    for window, image, chars in windows(250):
        for widget in window.widgets:
            if widget.kind not in ("check box", "radio button"):
                continue
            (x0, y0, x1, y1), side = widget.box, window.side
            y = y0 + (y1 - y0 - side) // 2
            if is_alone(widget, window):
                x0, alone = x0 + 1, alone + 1
            elif written(chars, (x0, y0, x0 + side, y1)):
                x0, after = x1 - side, after + 1
            inner = part(image, (x0 + 3, y + 3, x0 + side - 3, y + side - 3)).astype(int)
            if widget.kind == "check box":
                assert (np.ptp(inner, axis=(0, 1)).max() > 60) == widget.on, widget
            else:
                accent = window.native if window.boxes == "native" else window.accent
                middle = image[y + side // 2, x0 + side // 2].astype(int)
                assert (np.abs(middle - accent).max() < 12) == widget.on, widget
            states.append(widget.on)
    assert 0.3 < np.mean(states) < 0.6
    assert alone > 40
    assert after > 10


def test_switches_that_are_on_are_coloured_and_have_their_knob_on_the_right():
    states = []
    for window, image, _ in windows(320):
        for widget in window.widgets:
            if widget.kind == "switch":
                shown = part(image, widget.box)
                assert (near(shown, window.accent).mean() > 0.15) == widget.on, widget
                states.append(widget.on)
    assert 0.35 < np.mean(states) < 0.65
    assert len(states) > 60


def test_exactly_the_open_tab_carries_the_accent():
    tabs = 0
    for window, image, _ in windows(320):
        shown = [widget for widget in window.widgets if widget.kind == "tab"]
        for widget in shown:
            assert near(part(image, widget.box), window.accent).any() == widget.on, widget
        assert not shown or sum(widget.on for widget in shown) == 1
        tabs += len(shown)
    assert tabs > 50


def test_a_level_is_as_long_as_its_number_says():
    checked = 0
    for window, image, _ in windows(320):
        for widget in window.widgets:
            if widget.kind in ("slider", "progress bar"):
                x0, y0, x1, y1 = widget.box
                track = image[(y0 + y1) // 2, x0 + 4 : x1 - 4]
                share = near(track[None], window.accent, 3).mean()
                assert share == pytest.approx(int(widget.value.rstrip("%")) / 100, abs=0.09), widget  # a knob is 15 pixels wide
                checked += 1
    assert checked > 40


def test_what_is_disabled_is_fainter_but_can_be_read():
    contrast: dict[bool, list[float]] = {True: [], False: []}
    for window, image, _ in windows(320):
        for widget in window.widgets:
            if widget.kind == "button":
                x0, y0, x1, y1 = widget.box
                grey = part(image, (x0 + 6, y0 + 4, x1 - 6, y1 - 4)) @ np.array([0.299, 0.587, 0.114])
                contrast[widget.enabled].append(float(np.ptp(grey)))
    assert np.mean(contrast[False]) < 0.65 * np.mean(contrast[True])
    assert min(contrast[False]) > 40


# Turns -------------------------------------------------------------------------------------------------------------------


def scenes(count: int, split: str = "train", severity: float = 0.0) -> list[Scene]:
    return [render("gui", split, 21, index, PACK, severity=severity) for index in range(count)]


def in_pixels(turn: Turn, scene: Scene) -> tuple[float, ...]:
    assert turn.box is not None
    height, width = scene.image.shape[:2]
    x0, y0, x1, y1 = turn.box
    return (x0 * width, y0 * height, x1 * width, y1 * height)


@pytest.mark.parametrize("severity", [0.0, 1.0])
def test_a_click_lands_on_the_label_that_was_named(severity):
    """Whatever degradation does: the characters inside the box of the answer are those of the named button."""
    named = re.compile(r"\"?([\w' -]+?)\"? (?:button|tab|check box|radio button|menu item|menu)\b")
    checked = 0
    for scene in scenes(600, severity=severity):
        for turn in scene.turns:
            if turn.box is None or "icon" in turn.question or turn.thinking is None:
                continue
            found = named.match(turn.thinking.removeprefix("The "))
            if found and "check box" not in turn.thinking:  # which may be far from its label
                inside = written(scene.chars, in_pixels(turn, scene))
                assert inside.startswith(found[1].replace(" ", "")), turn
                assert found[1].casefold() in turn.question.casefold()
                x, y = map(float, re.findall(r"\d\.\d{3}", turn.answer)[:2]) if turn.task == "point" else (None, None)
                assert x is None or (turn.box[0] < x < turn.box[2] and turn.box[1] < y < turn.box[3])
                checked += 1
    assert checked > 30


def test_degradation_does_move_the_places_of_widgets():
    shifts = [
        np.abs(np.subtract(a.box, b.box)).max()
        for clean, worn in zip(scenes(150), scenes(150, severity=1.0), strict=True)
        for a, b in zip(clean.turns, worn.turns, strict=True)
        if a.box is not None
    ]
    assert 0.1 < np.mean(np.array(shifts) > 0.003) < 0.6


def facts(seed: int) -> tuple[ScreenTurns, Interview]:
    box = (0, 0, 9, 9)
    shown = Shown(
        (
            Widget("button", "Save", box),
            Widget("button", "Cancel", box, enabled=False),
            Widget("switch", "Wi-Fi", box, on=True),
            Widget("switch", "Sounds", box),
            Widget("check box", "Shuffle", box, on=True),
            Widget("radio button", "Small", box, "Size"),
            Widget("radio button", "Large", box, "Size", on=True),
            Widget("tab", "Home", box, on=True),
            Widget("field", "City", box, "Lyon"),
            Widget("field", "Name", box),
            Widget("slider", "Zoom", box, "40%"),
            Widget("icon", "search", box),
            Widget("app", "Clock", box, "calendar"),
        ),
        "Options",
        "Ready",
        "",
    )
    rng = random.Random(seed)
    interview = Interview(
        rng,
        "Options\nSave Cancel\nWi-Fi\nSounds\nShuffle\nSize\nSmall Large\nHome\nCity Lyon\nName\nZoom 40%\nClock\nReady",
        image_only=True,
    )
    return ScreenTurns(Content(rng, PACK, "train"), interview, shown), interview


@pytest.mark.parametrize(
    ("maker", "expected"),
    [
        ("is_on", {"wi-fi": "Yes.", "sounds": "No.", "shuffle": "Yes."}),
        ("enabled", {"save": "Yes.", "cancel": "No."}),
        ("field", {"city": "Lyon", "name": "It is empty."}),
        ("level", {"zoom": "40%"}),
        ("click", {"save": "<point 0>", "wi-fi": "<point 2>", "large": "<point 6>", "search": "<point 11>"}),
        ("box", {"cancel": "<box 1>", "shuffle": "<box 4>", "home": "<box 7>"}),
        ("chosen", {"size": "Large", "tab": "Home"}),
    ],
)
def test_answers_about_a_known_window(maker, expected):
    seen = set()
    for seed in range(400):
        turn = getattr(facts(seed)[0], maker)()
        for word, answer in expected.items() if turn else ():
            if re.search(rf"\b{word}\b", turn.question, re.IGNORECASE):
                assert turn.answer == answer, turn
                seen.add(word)
    assert seen == set(expected)


def placed(*widgets: Widget) -> list[ScreenTurns]:
    """Makers of turns about widgets in known places."""
    shown = Shown(widgets, "", "", "")
    text = " ".join(widget.label for widget in widgets)
    contents = [Content(random.Random(seed), PACK, "train") for seed in range(200)]
    return [ScreenTurns(content, Interview(content.rng, text, image_only=True), shown) for content in contents]


def asked(makers: list[ScreenTurns], name: str) -> dict[str, set[int]]:
    """Questions of a maker, in lower case, with the number of the widget that is the answer."""
    found: dict[str, set[int]] = {}
    for maker in makers:
        if turn := getattr(maker, name)():
            mark = re.fullmatch(r"<(?:point|box) (\d+)>", turn.answer)
            assert mark, turn
            found.setdefault(turn.question.casefold().replace('"', ""), set()).add(int(mark[1]))
    return found


GRID = (
    Widget("button", "Undo", (0, 0, 50, 20)),
    Widget("button", "Print", (60, 0, 110, 20)),
    Widget("button", "Zoom", (120, 0, 170, 20)),
    Widget("check box", "Loop", (0, 40, 60, 60)),
    Widget("check box", "Mute", (0, 70, 60, 90)),
    Widget("check box", "Fade", (0, 100, 60, 120)),
)


@pytest.mark.parametrize(
    ("maker", "said", "place"),
    [
        ("neighbour", "button to the right of undo", 1),
        ("neighbour", "button to the left of zoom", 1),
        ("neighbour", "check box below loop", 4),
        ("neighbour", "check box above fade", 4),
        ("ordinal", "second button from the left", 1),
        ("ordinal", "rightmost button", 2),
        ("ordinal", "last check box", 5),
        ("ordinal", "first check box from the top", 3),
        ("intent", "paper", 1),
        ("intent", "take back my last step", 0),
    ],
)
def test_widgets_are_found_by_their_neighbours_their_order_and_what_they_are_for(maker, said, place):
    found = {question: places for question, places in asked(placed(*GRID), maker).items() if said in question}
    assert found
    assert all(places == {place} for places in found.values())


def test_an_intent_that_two_widgets_serve_is_not_asked_about():
    makers = placed(Widget("button", "Print", (0, 0, 9, 9)), Widget("icon", "printer", (20, 0, 29, 9)))
    assert not asked(makers, "intent")


def test_buttons_that_every_row_has_are_found_by_their_row():
    boxes = [(0, 0, 9, 9), (0, 20, 9, 29), (0, 40, 9, 49)]
    rows = [Widget("button", "Edit", box, row=name) for box, name in zip(boxes, ("Ann", "Ben", "Cy"), strict=True)]
    found = asked(placed(*rows), "of_row")
    for k, name in enumerate(("ann", "ben", "cy")):
        naming = [places for question, places in found.items() if re.search(rf"edit button .*\b{name}\b", question)]
        assert naming
        assert all(places == {k} for places in naming)
    assert not asked(placed(*rows), "click")


def test_questions_about_states_are_answered_yes_as_often_as_no():
    answers = Counter(
        (re.sub(r"\W.*", "", turn.question.casefold()), turn.answer)
        for scene in scenes(700)
        for turn in scene.turns
        if turn.task == "state" and turn.answer in ("Yes.", "No.")
    )
    yes, no = (sum(n for (_, answer), n in answers.items() if answer == wanted) for wanted in ("Yes.", "No."))
    assert yes + no > 250
    assert 0.42 < yes / (yes + no) < 0.58


def test_composed_screens_have_far_check_boxes_rows_with_buttons_links_and_hints():
    found: Counter[str] = Counter()
    sizes = set()
    for window, image, _ in windows(250):
        sizes.add((image.shape[1] // 56, image.shape[0] // 56))
        for widget in window.widgets:
            found["row"] += bool(widget.row)
            found["hint"] += bool(widget.hint)
            found["link"] += widget.kind == "link"
            found["alone"] += widget.kind == "check box" and is_alone(widget, window)
    assert min(found.values()) > 40, found
    assert len(sizes) > 25


def test_a_question_about_an_empty_field_is_not_asked_where_a_hint_stands_in_it():
    makers = placed(Widget("field", "City", (0, 0, 90, 20), hint="Enter text"))
    assert all(maker.field() is None for maker in makers)


def test_lists_and_counts_of_a_known_window():
    turns = [turn for seed in range(300) for maker in ("checked", "buttons", "count") if (turn := getattr(facts(seed)[0], maker)())]
    answers = {turn.answer for turn in turns}
    assert answers == {"Wi-Fi", "Save, Cancel", "Home", "Clock", "1", "2"}
    for turn in turns:
        if turn.task == "count" and turn.thinking:
            assert len(turn.thinking.split("\n")) == int(turn.answer)


def test_a_button_whose_name_another_widget_has_is_not_asked_about():
    box = (0, 0, 9, 9)
    shown = Shown((Widget("button", "Backup", box), Widget("switch", "Backup", box)), "", "", "")
    rng = random.Random(0)
    turns = ScreenTurns(Content(rng, PACK, "train"), Interview(rng, "Backup"), shown)
    assert not any(getattr(turns, maker)() for maker in ("click", "box", "is_on", "enabled", "at_place") for _ in range(50))


def test_absent_widgets_are_refused_and_really_absent():
    labels = {label.casefold() for group in ABSENT.values() for label in group}
    refused = 0
    for scene in scenes(300):
        for turn in scene.turns:
            if turn.task != "refuse":
                continue
            assert turn.answer == REFUSAL_IMAGE
            spoken = [label for label in labels if re.search(rf"\b{re.escape(label)}\b", turn.question.casefold())]
            for label in spoken:
                if re.search(rf"\"?{re.escape(label)}\"? (button|switch|check box|field|tab|menu)\b", turn.question.casefold()):
                    assert label not in scene.text.casefold(), turn
                    refused += 1
    assert refused > 30


def test_a_label_that_stands_anywhere_on_the_screen_is_not_called_absent():
    for seed in range(300):
        rng = random.Random(seed)
        interview = Interview(rng, "Print or send, then help the user name his city", image_only=True)
        turn = ScreenTurns(Content(rng, PACK, "train"), interview, Shown((), "", "", "")).absent()
        assert turn is None or not re.search(r"\b(print|send|help|name|city|user)\b", turn.question.casefold().replace("use the", "")), turn


def test_an_icon_that_is_shown_is_never_refused():
    refusals = set()
    for seed in range(800):
        turn = facts(seed)[0].absent()
        if turn and "icon" in turn.question:
            name = next(name for name in ICONS if name in turn.question.casefold())
            refusals.add(name)
    assert len(refusals) > 12
    assert not refusals & {"search", "calendar", "close", "home", "save"}  # shown, drawn on an app, in a title bar, and words


# Looks -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", [*THEMES.seen, *THEMES.held_out], ids=lambda theme: theme.name)
def test_themes_have_contrast(theme):
    assert isinstance(theme, Theme)
    for a, b in ((theme.page, theme.ink), (theme.field, theme.ink), (theme.bar, theme.bar_ink)):
        assert abs(luminance(a) - luminance(b)) > 120
    assert abs(luminance(theme.page) - luminance(theme.faint)) > 60
    assert all(np.abs(np.subtract(theme.page, accent)).max() > 60 for accent in theme.accents)


@pytest.mark.parametrize("style", ["thin", "thick", "badge"])
def test_no_two_icons_look_alike(style):
    pictures = []
    for name in ICONS:
        screen = Screen(Content(random.Random(1), PACK, "train"), 64, 64)
        screen.canvas.fill(0, 0, 64, 64, (255, 255, 255))
        draw_icon(screen.canvas, name, (20, 20, 44, 44), (0, 0, 0), style)
        image = 255.0 - screen.canvas.rgb[..., 0]
        assert image.sum() > 255 * 20, name
        assert image[:18].sum() == image[:, :18].sum() == image[46:].sum() == image[:, 46:].sum() == 0, name
        assert all(np.abs(image - other).sum() > 255 * 15 for other in pictures), name
        pictures.append(image)


def test_held_out_looks_are_disjoint_and_drawn_in_split_test_only():
    choices = {
        name: value
        for module in (screens, windows_module, compositions, themes, widgets, icons)
        for name, value in vars(module).items()
        if isinstance(value, Choice)
    }
    assert len(choices) >= 22
    for name, choice in choices.items():
        assert choice.held_out, name
        assert not set(choice.seen) & set(choice.held_out), name

    def names(split: str) -> set[str]:
        return {Screen(Content(random.Random(seed), PACK, split), 64, 64).theme.name for seed in range(150)}

    held_out = {theme.name for theme in THEMES.held_out}
    assert not (names("train") | names("val")) & held_out
    assert held_out <= names("test")


def test_a_widget_outside_the_screen_is_refused():
    screen = Screen(Content(random.Random(0), PACK, "train"), 200, 100)
    for box in ((-1, 0, 10, 10), (0, 0, 201, 10), (0, 95, 10, 105)):
        with pytest.raises(Overfull, match="leaves the screen"):
            screen.add("button", "Save", box)
