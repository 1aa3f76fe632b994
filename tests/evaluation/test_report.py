"""From answers to a document, to tables, and to what differs from another run."""

import json

import pytest

from kimi_vl.errors import InputError
from kimi_vl.evaluation import report
from kimi_vl.evaluation.runner import Answered
from kimi_vl.evaluation.suite import Item, Response, Result
from tests.evaluation.items import result


def answered(*results: Result) -> Answered:
    found = Answered()
    for one in results:
        row = (one.item.tier, one.item.task)
        found.results[row].append(one)
        found.digests[row] = "d" * 64
    return found


def document(*results: Result, tool="nano", **more):
    return {"format": report.FORMAT, "tool": tool, "tiers": report.rows(answered(*results), {}), **more}


def test_a_row_says_what_was_measured_how_well_and_whether_it_suffices():
    rows = report.rows(answered(result("7", "7", tier="T2"), result("7", "8", tier="T2")), {})
    row = rows["T2"]["table"]
    assert (row["metric"], row["n"], row["target"], row["met"]) == ("exact", 2, 0.82, False)
    assert row["scores"]["exact"]["value"] == 0.5
    json.dumps(rows, allow_nan=False)


def test_a_low_error_meets_its_target_and_a_high_one_does_not():
    good = report.rows(answered(result("a" * 100, "a" * 99 + "b", task="line", tier="T2")), {})
    bad = report.rows(answered(result("a" * 100, "a" * 98 + "bb", task="line", tier="T2")), {})
    assert (good["T2"]["line"]["met"], bad["T2"]["line"]["met"]) == (True, False)


def test_targets_are_for_the_headline_tiers_and_may_differ_on_foreign_pictures():
    box = (0, 0, 1, 1)
    rows = report.rows(
        answered(*[result("", "(2, 2)", task="gui point", tier=tier, box=box) for tier in ("T0", "T1", "T2", "T3", "T4")]), {}
    )
    assert {tier: row["gui point"]["target"] for tier, row in rows.items()} == {"T0": None, "T1": None, "T2": 0.9, "T3": 0.7, "T4": None}


def test_rows_say_whether_the_questions_are_the_pinned_ones():
    few = answered(result("7", "7"))
    full = answered(*[result("7", "7") for _ in range(500)])
    assert report.rows(few, {"T1/table": "d" * 64})["T1"]["table"]["questions"] == "part"
    for pins, state in (({}, "new"), ({"T1/table": "d" * 64}, "pinned"), ({"T1/table": "e" * 64}, "differ")):
        assert report.rows(full, pins)["T1"]["table"]["questions"] == state
    assert report.rows(answered(result("7", "7", tier="T3")), {})["T3"]["table"]["questions"] == "pinned"  # files, checked when read


def test_answers_that_were_cut_are_counted():
    cut = Result(result("7", "7").item, Response("7 7 7", finish_reason="length"))
    assert report.rows(answered(result("7", "7"), cut), {})["T1"]["table"]["cut"] == 1


def test_pins_are_written_and_read_by_pack(tmp_path):
    path = tmp_path / "pins.toml"
    assert report.read_pins("a" * 64, path) == {}
    report.write_pins("a" * 64, {("T0", "gui point"): "1" * 64, ("T1", "line"): "2" * 64}, path)
    assert report.read_pins("a" * 64, path) == {"T0/gui point": "1" * 64, "T1/line": "2" * 64}
    assert report.read_pins("b" * 64, path) == {}


def test_the_shipped_pins_can_be_read():
    assert report.read_pins("no such pack") == {}


def test_the_table_has_a_row_per_tier_task_and_tool():
    peers = {"tesseract": report.rows(answered(result("abc", "abd", task="line", tier="T2")), {})}
    lines = report.table(document(result("abcd", "abcd", task="line", tier="T2"), result("3", "5", task="counting"), peers=peers))
    assert lines[0] == ("tier", "task", "n", "score", "", "target", "", "questions")
    assert lines[1:] == [
        ("T1", "counting", "1", "0.0 % (0.0-79.3)", "exact", "", "", "part"),
        ("T2", "line", "1", "0.0 % (0.0-0.0)", "CER", "<= 1.5 %", "met", "part"),
        ("T2", "line, tesseract", "1", "33.3 % (33.3-33.3)", "CER", "<= 1.5 %", "missed", "part"),
    ]
    assert report.aligned([("a", "bb"), ("ccc", "")]) == ["a    bb", "ccc"]


def test_two_runs_are_compared_score_by_score():
    here = document(result("3", "3", task="counting"), result("3", "5", task="counting"), result("7", "7"))
    there = document(result("3", "3", task="counting"))
    lines = report.compare(here, there)
    assert lines[1:] == [
        ("T1", "counting", "exact", "100.0 %", "50.0 %", "-50.0", "same"),
        ("T1", "counting", "mean error", "0.00", "1.00", "+1.00", "same"),
    ]
    there["tiers"]["T1"]["counting"]["digest"] = "another"
    assert report.compare(here, there)[1][-1] == "not the same"


@pytest.mark.parametrize("other", [{}, [], None, {"format": "something else"}])
def test_comparing_with_something_else_is_refused(other):
    with pytest.raises(InputError, match="pass what --output wrote"):
        report.compare(document(), other)


def test_items_know_no_pixels_after_they_were_asked():
    assert isinstance(result("7", "7").item, Item)
    assert result("7", "7").item.pages == ()
