"""Charts: bars and points stand where their values say, and every answer is worked out again from the values."""

import random
import re
from collections import Counter
from fractions import Fraction
from functools import cache
from hashlib import sha256
from itertools import pairwise

import cv2
import numpy as np
import pytest

from kimi_vl.training.synth.canvas import Canvas, open_font
from kimi_vl.training.synth.charts.charts import UNITS, Chart
from kimi_vl.training.synth.charts.looks import SHAPES, Look, draw_look
from kimi_vl.training.synth.charts.marks import curve
from kimi_vl.training.synth.charts.palettes import draw_palette, is_near
from kimi_vl.training.synth.charts.plots import Plotter, begin_chart
from kimi_vl.training.synth.charts.styles import (
    APART,
    AXES,
    BARS,
    GRIDS,
    KEYS,
    LEGENDS,
    MARKERS,
    STROKES,
    TICKS,
    TITLE_PLACES,
    choose_style,
)
from kimi_vl.training.synth.charts.turns import ChartTurns, name_of
from kimi_vl.training.synth.content import Content, luminance
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.scene import REFUSAL, Overfull, Turn
from kimi_vl.training.synth.traces import verify
from kimi_vl.training.synth.world import render
from tests.training.interviews import Recorder

PACK = DataPack.builtin()
STEP = re.compile(r"^(?:Check: )?(-?[\d.,]+) ([+-]) (-?[\d.,]+) = (-?[\d.,]+)$")
DIRECTIONS = {-1: "It falls.", 0: "It stays the same.", 1: "It rises."}


def digits(text: str) -> int:
    """A printed number as an integer of its last digit."""
    return int(re.sub(r"[^\d-]", "", text))


def drawn(count: int, split: str = "train", first: int = 0) -> list[tuple[Chart, np.ndarray, np.ndarray, str, Plotter]]:
    """Charts with picture, characters, transcription and who painted them."""
    found = []
    for seed in range(first, first + count * 4):
        content = Content(random.Random(seed), PACK, split)
        try:
            plotter = begin_chart(content)
            chart = plotter.draw()
            found.append((chart, *plotter.canvas.finish(), plotter))
        except Overfull:
            continue
        if len(found) == count:
            return found
    raise AssertionError("most charts do not fit")


@cache
def charts() -> list[tuple[Chart, np.ndarray, np.ndarray, str, Plotter]]:
    """Made when first asked for: every worker imports this file, and one runs it."""
    return drawn(500)


@cache
def turns() -> list[tuple[Turn, str, dict[str, str], Chart, str]]:
    """Turns of every maker with the key and slots of their questions."""
    found = []
    for chart, _, _, text, plotter in charts():
        interview = Recorder(plotter.rng, text)
        maker = ChartTurns(plotter.content, interview, chart)
        draws = [maker.value, maker.extreme, maker.larger, maker.difference, maker.total, maker.trend, maker.step, maker.text, maker.legend]
        more = (
            *(maker.ratio, maker.average, maker.second, maker.part_there),
            *(maker.between_series, maker.series_larger, maker.crossing, maker.unit),
        )
        for draw in (
            *draws,
            maker.count,
            maker.kind,
            maker.reverse,
            maker.above,
            maker.written_out,
            maker.refusal,
            maker.highest_series,
            *more,
        ):
            interview.key = ""
            turn = draw()
            if turn:
                found.append((turn, interview.key, interview.slots, chart, text))
    return found


def place(chart: Chart, said: str) -> int:
    """The category that somebody means."""
    if chart.kind == "scatter":
        said = said.split(" ")[-1]
    (k,) = [k for k, name in enumerate(chart.categories) if name.casefold() == said.casefold()]
    return k


def row_of(chart: Chart, slots: dict[str, str]) -> list[int]:
    return list(chart.values[chart.series.index(slots["series"]) if "series" in slots else 0])


def numbers(key: str, slots: dict[str, str], chart: Chart) -> int | Fraction | None:
    """The answers that are numbers; None for another key."""
    row = row_of(chart, slots)
    if key in ("chart_value", "chart_cell", "chart_share"):
        return row[place(chart, slots["item"])]
    if key == "cell":
        assert slots["column"] == chart.y_label.split(" (")[0].lower()
        return row[place(chart, slots["row"])]
    if key in ("chart_difference", "series_difference"):
        return row[place(chart, slots["a"])] - row[place(chart, slots["b"])]
    if key == "chart_sum_two":
        return row[place(chart, slots["a"])] + row[place(chart, slots["b"])]
    if key == "chart_sum":
        return sum(row)
    if key == "chart_ratio":
        return Fraction(row[place(chart, slots["a"])], row[place(chart, slots["b"])])
    if key == "chart_average":
        return Fraction(sum(row), len(row))
    if key == "between_series":
        k = place(chart, slots["item"])
        return chart.values[chart.series.index(slots["a"])][k] - chart.values[chart.series.index(slots["b"])][k]
    if key == "category_sum":
        return sum(values[place(chart, slots["item"])] for values in chart.values)
    return None


def words(key: str, slots: dict[str, str], chart: Chart) -> str:
    """The answers that are words or counts."""
    row = row_of(chart, slots)
    if "highest" in key or "lowest" in key:
        best = max if "highest" in key else min
        names = list(chart.categories)
        if key.startswith("series_"):
            row, names = [values[place(chart, slots["item"])] for values in chart.values], list(chart.series)
        (found,) = [name for name, value in zip(names, row, strict=True) if value == best(row)]
        return found
    if key == "chart_larger":
        return max((slots["a"], slots["b"]), key=lambda name: row[place(chart, name)])
    if key == "chart_which":
        found = [name for name, value in zip(chart.categories, row, strict=True) if value == digits(slots["value"])] or ["None."]
        assert len(found) == 1
        return found[0]
    if key == "chart_second":
        (found,) = [name for name, value in zip(chart.categories, row, strict=True) if value == sorted(row)[-2]]
        return found
    if key == "part_there":
        return "Yes." if slots["item"].casefold() in [name.casefold() for name in chart.categories] else "No."
    if key in ("series_larger", "lines_cross", "first_above"):
        one, other = (chart.values[chart.series.index(slots[s])] for s in "ab")
        if key == "series_larger":
            k = place(chart, slots["item"])
            return slots["a"] if one[k] > other[k] else slots["b"]
        assert all(x != y for x, y in zip(one, other, strict=True))
        above = [x > y for x, y in zip(one, other, strict=True)]
        if key == "lines_cross":
            return "Yes." if len(set(above)) == 2 else "No."
        assert above == sorted(above)  # below first, then above
        return chart.categories[above.index(True)]
    if key == "axis_unit":
        return chart.y_label if chart.y_label in UNITS.seen else chart.measure.split("(")[1].rstrip(")")
    if key in ("parts_above", "parts_below"):
        limit = digits(slots["value"])
        return str(sum(v > limit if key == "parts_above" else v < limit for v in row))
    if key.endswith("_step"):
        a, b = row[place(chart, slots["a"])], row[place(chart, slots["b"])]
        return DIRECTIONS[(b > a) - (b < a)]
    if key.endswith("_trend"):
        steps = np.diff(row)
        assert (steps >= 0).all() or (steps <= 0).all()
        return "Rising." if steps.sum() > 0 else "Falling."
    return {
        "title": chart.title,
        "x_label": chart.x_label,
        "y_label": chart.y_label,
        "list_series": ", ".join(chart.series),
        "list_slices": ", ".join(chart.categories),
        "count_series": str(len(chart.series)),
        "count_parts": str(len(chart.categories)),
        "chart_kind": f"{'An' if chart.form == 'area' else 'A'} {name_of(chart)}.",
    }[key]


def test_every_answer_follows_from_the_values_of_the_chart():
    seen = set()
    for turn, key, slots, chart, _ in turns():
        if turn.task == "refuse" or key == "chart_table":
            continue
        number = numbers(key, slots, chart)
        if number is None:
            assert turn.answer == words(key, slots, chart), (key, slots, chart)
        else:
            assert digits(turn.answer) == number, (key, slots, chart)
        seen.add(key)
    assert {
        *("chart_value", "chart_cell", "chart_share", "cell", "chart_difference", "series_difference", "chart_sum", "chart_sum_two"),
        *("category_sum", "chart_highest", "chart_lowest", "chart_highest_of", "series_highest", "chart_larger", "chart_which"),
        *("parts_above", "parts_below", "chart_step", "series_step", "chart_trend", "series_trend", "title", "x_label", "y_label"),
        *("list_series", "list_slices", "count_series", "count_parts", "chart_kind", "chart_ratio", "chart_average"),
        *("chart_second", "part_there", "between_series", "series_larger", "lines_cross", "first_above", "axis_unit"),
    } <= seen


def test_every_kind_of_chart_is_drawn_and_about_half_print_their_values():
    assert {chart.kind for chart, *_ in charts()} == {
        *("bar", "horizontal bar", "grouped bar", "stacked bar", "line", "pie", "donut", "scatter"),
    }
    labelled = [chart.labelled for chart, *_ in charts() if chart.kind in ("bar", "horizontal bar", "line")]
    assert 0.3 < np.mean(labelled) < 0.7


def test_values_are_printed_or_lie_on_the_ticks_of_the_scale():
    for chart, _, _, text, _ in charts():
        printed = text.split()
        for values in chart.values:
            for k, value in enumerate(values):
                if chart.labelled:
                    assert chart.notation.full(value) in printed, (chart, text)
                elif chart.exact:
                    assert value in chart.scale.ticks or value + chart.scale.step // 2 in chart.scale.ticks
                    assert chart.scale.step % 2 == 0 or value in chart.scale.ticks
                if chart.exact and not chart.labelled:
                    assert chart.notation.full(chart.scale.ticks[-1]) in printed
                assert chart.categories[k] in text


def test_questions_about_numbers_are_asked_only_where_they_can_be_read():
    asked = [key for _, key, _, chart, _ in turns() if not chart.exact]
    assert asked
    assert set(asked) <= {
        "chart_highest",
        "chart_lowest",
        "chart_larger",
        "title",
        "list_slices",
        "count_parts",
        "chart_kind",
        "chart_share",
        "part_there",
        "",
    }
    for turn, key, _, chart, _ in turns():
        if key == "chart_share" and not chart.exact:
            assert turn.answer == REFUSAL


def tick_heights(chart: Chart, chars: np.ndarray, text: str) -> dict[int, float]:
    """Where on the picture the numbers of an upright axis stand, by value."""
    heights, at = {}, 0
    for row in text.split("\n"):
        count = len("".join(row.split()))
        for value in chart.scale.ticks:
            if row == chart.notation.full(value):
                heights[value] = float(chars[at : at + count, 2].mean())
        at += count
    return heights


def spots(chart: Chart, chars: np.ndarray, plotter: Plotter) -> list[int]:
    """The column of each category, from where its name stands."""
    found, names = "".join(map(chr, chars[:, 0].astype(int))), ["".join(name.split()) for name in chart.categories]
    at, columns = found.rindex("".join(names)), []
    for name in names:
        columns.append(int(chars[at + len(name) - 1, 1] if plotter.naming == "slanted" else chars[at : at + len(name), 1].mean()))
        at += len(name)
    return columns


def test_bars_end_at_the_height_that_the_axis_gives_their_values():
    checked = 0
    for chart, image, chars, text, plotter in charts():
        heights = tick_heights(chart, chars, text)
        if chart.kind != "bar" or chart.form == "dots" or len(heights) != len(chart.scale.ticks):
            continue
        low, high = heights[chart.scale.low], heights[chart.scale.high]
        for name, x, value in zip(chart.categories, spots(chart, chars, plotter), chart.values[0], strict=True):
            reach = 10 if chart.form else 4  # a point on a stem stands out by its radius
            top = round(low + (high - low) * (value - chart.scale.low) / (chart.scale.high - chart.scale.low))
            inside, outside = image[top + 4, x - 3 : x + 4].astype(int), image[top - reach, x - 3 : x + 4].astype(int)
            assert np.abs(inside - outside).sum() > 150, (chart.title, name, value)
            checked += 1
    assert checked > 150


def test_lying_bars_end_where_the_axis_gives_their_values():
    checked = 0
    for chart, image, chars, text, _ in charts():
        ticks = " ".join(chart.notation.full(v) for v in chart.scale.ticks)
        if chart.kind != "horizontal bar" or chart.form or ticks not in text.split("\n"):
            continue
        rows, at, heights = text.split("\n"), 0, {}
        for row in rows:
            count = len("".join(row.split()))
            heights[row], span = float(chars[at : at + count, 2].mean()), chars[at : at + count, 1]
            at += count
            if row == ticks:
                widths = [len(t) for t in ticks.split(" ")]
                low, high = float(span[: widths[0]].mean()), float(span[-widths[-1] :].mean())
        for name, value in zip(chart.categories, chart.values[0], strict=True):
            row = f"{name} {chart.notation.full(value)}" if chart.labelled else name
            end = round(low + (high - low) * (value - chart.scale.low) / (chart.scale.high - chart.scale.low))
            y = round(heights[row])
            inside, outside = image[y - 1 : y + 2, end - 3].astype(int), image[y - 1 : y + 2, end + 3].astype(int)
            assert np.abs(inside - outside).sum() > 60, (chart.title, name, value)
            checked += 1
    assert checked > 50


def test_points_lie_where_the_axis_gives_their_values():
    checked: Counter[str] = Counter()
    for chart, image, chars, text, plotter in charts():
        heights = tick_heights(chart, chars, text)
        if chart.kind != "line" or plotter.naming == "slanted" or len(heights) != len(chart.scale.ticks):
            continue
        for k, (name, x) in enumerate(zip(chart.categories, spots(chart, chars, plotter), strict=True)):
            for s, values in enumerate(chart.values):
                share = (values[k] - chart.scale.low) / (chart.scale.high - chart.scale.low)
                y = round(heights[chart.scale.low] + (heights[chart.scale.high] - heights[chart.scale.low]) * share)
                near = image[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 1, 3).astype(int)
                assert np.abs(near - plotter.colour(s)).sum(2).min() < 90, (chart.title, name, values[k])
                checked[chart.form] += 1
    assert checked.total() > 150
    assert min(checked[form] for form in ("smooth", "stairs", "area")) > 5


def test_the_slices_of_a_pie_have_the_areas_of_their_shares():
    checked = 0
    for chart, image, _, _, plotter in charts():
        if chart.kind != "pie" or chart.labelled or plotter.look.sheet.banner:  # which has a colour of the palette
            continue
        colours, counts = np.unique(image.reshape(-1, 3), axis=0, return_counts=True)
        known = set(plotter.style.palette)
        areas = sorted(int(n) for c, n in zip(colours, counts, strict=True) if tuple(c.tolist()) in known and n > 300)
        shares = np.array(areas) / sum(areas) * 100
        assert shares == pytest.approx(np.array(sorted(chart.values[0])), abs=3), chart
        checked += 1
    assert checked >= 3


def test_shares_of_a_pie_add_up_to_a_hundred():
    pies = [chart for chart, *_ in charts() if chart.circular]
    assert pies
    assert all(sum(chart.values[0]) == 100 and min(chart.values[0]) >= 8 for chart in pies)


def test_series_that_share_an_axis_never_hide_one_anothers_points():
    several = [c for c, *_ in charts() if c.kind in ("line", "scatter") and len(c.series) > 1]
    assert several
    for chart in several:
        assert all(len(set(column)) == len(column) for column in zip(*chart.values, strict=True))


def test_the_pieces_of_a_stacked_bar_stay_below_the_top_of_the_scale():
    stacked = [c for c, *_ in charts() if c.kind == "stacked bar"]
    assert stacked
    assert all(sum(column) <= chart.scale.high for chart in stacked for column in zip(*chart.values, strict=True))


def test_markdown_of_a_chart_parses_back_to_its_names_and_values():
    tables = [(turn, chart) for turn, key, _, chart, _ in turns() if key == "chart_table"]
    assert len(tables) > 50
    for turn, chart in tables:
        lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in turn.answer.split("\n")]
        assert tuple(line[0] for line in lines[2:]) == chart.categories
        for s, values in enumerate(chart.values):
            assert [digits(line[s + 1]) for line in lines[2:]] == list(values)
            assert not chart.series[s] or lines[0][s + 1] == chart.series[s]


def test_every_step_of_a_sum_holds_and_the_last_new_one_is_the_answer():
    steps = 0
    for turn, *_ in turns():
        assert turn.thinking is None or verify(turn.thinking), turn
        if turn.task != "sum" or turn.thinking is None or "\nWait, " in turn.thinking:
            continue
        found = [m for row in turn.thinking.split("\n") if (m := STEP.match(row))]
        for match in found:
            a, b, c = (digits(match[k]) for k in (1, 3, 4))
            assert c == (a + b if match[2] == "+" else a - b), match[0]
            steps += 1
        results = [row.rsplit(" = ", 1)[1] for row in turn.thinking.split("\n") if " = " in row and not row.startswith("Check: ")]
        assert digits(results[-1]) == digits(turn.answer)
        assert turn.steps > 0
    assert steps > 100


def test_searches_find_and_miss():
    found = Counter((key, turn.answer if turn.answer in ("Yes.", "No.", "None.") else "") for turn, key, *_ in turns())
    assert 0.3 < found["part_there", "Yes."] / (found["part_there", "Yes."] + found["part_there", "No."]) < 0.7
    assert 5 < found["chart_which", "None."] < found["chart_which", ""]
    for turn, key, slots, chart, text in turns():
        if key == "chart_which" and turn.answer == "None.":
            assert slots["value"] not in text
        if key == "part_there":
            assert (slots["item"].casefold() in [name.casefold() for name in chart.categories]) == (turn.answer == "Yes.")


def test_what_is_refused_is_not_on_the_chart():
    kinds = set()
    for turn, key, slots, chart, text in turns():
        if turn.task != "refuse":
            continue
        assert turn.answer == REFUSAL
        kinds.add(key)
        if key in ("title", "x_label", "y_label"):
            assert not getattr(chart, key)
        elif key:
            assert slots["item"].casefold() not in text.casefold()
    assert {"title", "x_label", "y_label", "chart_value", "chart_cell", "chart_share"} <= kinds


def test_split_train_has_looks_of_every_kind():
    looks = [p.look for *_, p in charts()]
    assert 0.1 < np.mean([look.plain for look in looks]) < 0.35
    assert {p.naming for *_, p in charts()} == {"level", "wrapped", "up", "slanted"}
    assert {c.form for c, *_ in charts()} == {"", "lollipop", "dots", "smooth", "stairs", "area"}
    assert {look.sheet.border for look in looks} == {"", "edge", "line", "double", "card"}
    assert {look.axes.spine for look in looks} == {"", "offset", "thick", "arrow", "ticks"}
    assert {look.legend.place for look in looks} == {"", "left", "above", "columns", "ends"}
    assert {look.legend.key for look in looks} == {"", "outlined", "circle", "swatch", "round"}
    assert {look.bars.form for look in looks} == {"", "rounded", "gradient", "shadow", "rim"}
    assert {look.bars.value for look in looks} == {"", "top", "middle", "base"}
    assert {look.points.shape for look in looks} == {"", "mixed", *SHAPES}
    for part in ("sheet", "axes", "legend", "bars", "points", "pie"):
        assert all(
            len({getattr(getattr(look, part), name) for look in looks}) > 1 for name in getattr(Look(), part)._fields if name != "wraps"
        )
    assert any(not c.keyed for c, *_ in charts())
    assert any(c.notation.prefix for c, *_ in charts())


def test_no_look_of_split_train_is_one_that_is_held_out():
    pieces = {
        "grid": GRIDS, "axes": AXES, "legend": LEGENDS, "key": KEYS, "bars": BARS, "marker": MARKERS,
        "title": TITLE_PLACES, "ticks": TICKS, "strokes": STROKES,
    }  # fmt: skip
    held_out = {piece for choice in pieces.values() for piece in choice.held_out}
    for seed in range(400):
        content = Content(random.Random(seed), PACK, "train")
        chart, style = charts()[seed][0], choose_style(content)
        _, wide, look, _ = draw_look(content, chart, style, (448, 336))
        assert all(getattr(wide, name) in choice.seen for name, choice in pieces.items())
        drawn_pieces = {look.legend.place, look.legend.key, look.bars.form, look.points.shape, look.axes.spine}
        assert not drawn_pieces & held_out
        palette = draw_palette(content, (style.paper, style.panel))
        assert not any(is_near(colour) for colour in palette)


def test_splits_val_and_test_keep_the_pictures_that_evaluation_has_pinned():
    pinned = {"val": "fd5563414cce98bc", "test": "8da42f96206d99c6"}
    for split, digest in pinned.items():
        found = sha256()
        for _, image, chars, text, plotter in drawn(60, split):
            assert plotter.look.plain
            found.update(image.tobytes() + chars.tobytes() + text.encode())
        assert found.hexdigest()[:16] == digest, split


def test_names_of_series_at_the_ends_of_lines_are_no_legend():
    found = Counter(key for _, key, _, chart, _ in turns() if not chart.keyed)
    assert found["chart_cell"] > 3
    assert not found["list_series"] + found["count_series"]


def test_numbers_within_bars_are_ink_on_the_colour_of_the_bar():
    checked = 0
    for chart, image, chars, text, plotter in charts():
        if chart.kind != "bar" or not chart.labelled or not plotter.look.bars.value or chart.form:
            continue
        printed = "".join("".join(row.split()) for row in text.split("\n"))
        numbers = "".join(chart.notation.full(v).replace(" ", "") for v in chart.values[0])
        at = printed.index(numbers)
        for value in chart.values[0]:
            count = len(chart.notation.full(value).replace(" ", ""))
            x, y = chars[at : at + count, 1:].mean(0).astype(int)
            around = image[y - 5 : y + 6, x - 8 : x + 9].reshape(-1, 3).astype(float) @ (0.299, 0.587, 0.114)
            assert np.ptp(around) > 60, (chart.title, value)
            at += count
            checked += 1
    assert checked > 30


def test_a_slanted_name_ends_below_its_place_and_rises_to_it():
    font = open_font(PACK.faces("train")[0], 20)
    canvas = Canvas(200, 160, (255, 255, 255))
    canvas.write_slanted(150, 20, "Sajes (kg)", font, (0, 0, 0))
    image, chars, text = canvas.finish()
    assert text == "Sajes (kg)"
    assert np.diff(chars[:, 1]) == pytest.approx(-np.diff(chars[:, 2]), abs=1.01)
    assert (np.diff(chars[:, 1]) > 0).all()
    ys, xs = np.nonzero(image.min(2) < 200)
    assert 20 <= ys.min() < 26
    assert 145 < xs.max() < 165
    dark = [image[int(y) - 4 : int(y) + 5, int(x) - 4 : int(x) + 5].min() for _, x, y in chars]
    assert max(dark) < 100  # every character stands where it is said to
    for x, top in ((60, 20), (150, 100), (198, 20)):
        with pytest.raises(Overfull):
            canvas.write_slanted(x, top, "Sajes (kg)", font, (0, 0, 0))


def test_a_smooth_line_goes_through_its_points_and_never_beyond_them():
    rng = random.Random(0)
    for _ in range(50):
        points = [(20 + 40 * k, rng.randrange(200)) for k in range(rng.randint(2, 8))]
        heights = dict(curve(points))
        for (ax, ay), (bx, by) in pairwise(points):
            assert heights[ax] == ay
            assert heights[bx] == by
            assert all(min(ay, by) - 1 <= y <= max(ay, by) + 1 for x, y in heights.items() if ax <= x <= bx)


def test_colours_of_a_chart_can_be_told_from_its_paper_and_from_one_another():
    for seed in range(300):
        content = Content(random.Random(seed), PACK, "train")
        _, style, _, _ = draw_look(content, charts()[seed][0], choose_style(content), (448, 336))
        assert abs(luminance(style.ink) - luminance(style.paper)) > 90
        for ground in (style.paper, style.panel):
            assert all(abs(luminance(c) - luminance(ground)) >= 50 for c in style.palette)
        for k, colour in enumerate(style.palette):
            assert all(sum(abs(a - b) for a, b in zip(colour, other, strict=True)) >= APART for other in style.palette[:k])


def test_chart_words_that_are_held_out_appear_in_split_test_only():
    words = ("passengers", "energy", "turnover", "exports", "at a glance", "for each")
    text = {
        split: "\n".join(render("chart", split, 6, k, PACK, severity=0.0).text for k in range(120)).casefold()
        for split in ("train", "test")
    }
    assert not any(word in text["train"] for word in words)
    assert sum(word in text["test"] for word in words) >= 4


def test_text_that_runs_upwards_is_the_level_text_turned_left():
    font = open_font(PACK.faces("train")[0], 24)
    level, upright = Canvas(200, 40, (255, 255, 255)), Canvas(40, 200, (255, 255, 255))
    level.write(20, 30, "Sajes (kg)", font, (0, 0, 0))
    assert upright.write_up(30, 180, "Sajes (kg)", font, (0, 0, 0)) < 180
    (flat, flat_chars, _), (tall, chars, text) = level.finish(), upright.finish()
    turned = cv2.rotate(tall, cv2.ROTATE_90_CLOCKWISE)
    assert text == "Sajes (kg)"
    assert np.abs(flat.astype(int) - np.roll(turned, 1, axis=1)).mean() < 5  # turning moves pixel k to n - 1 - k, one less than n - k
    assert (tall[0] == 255).all()  # ink left of the pen is turned as well, not clipped to the first pixel
    assert chars[:, 1] == pytest.approx(flat_chars[:, 2], abs=1.0)
    assert 200 - chars[:, 2] == pytest.approx(flat_chars[:, 1], abs=1.5)


def test_text_that_runs_upwards_out_of_the_canvas_is_refused():
    font = open_font(PACK.faces("train")[0], 20)
    canvas = Canvas(60, 100, (255, 255, 255))
    for x, bottom in ((30, 60), (5, 99), (58, 99)):
        with pytest.raises(Overfull):
            canvas.write_up(x, bottom, "wide text", font, (0, 0, 0))
