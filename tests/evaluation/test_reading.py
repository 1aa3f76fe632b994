"""Reading sets, what fixed rules find in a text, and the scores, on documents small enough to count by hand."""

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from kimi_vl.errors import InputError
from kimi_vl.evaluation.reading import (
    Document,
    Question,
    Reading,
    examine,
    find_date,
    find_total,
    is_right,
    load_documents,
    parse_fields,
    score,
    without_ornaments,
)

ROOT = Path(__file__).resolve().parents[2]
READING_SET = "5bde6199c80ff594b1162fd1c9cfe55a2b6415dd47bc48fb538a4c752f6d5bc6"


def document(text="", *questions, family="line", name="a.png"):
    return Document(Path(name), family, text, tuple(Question(*q) for q in questions))


def write_set(folder, **changes):
    (folder / "a.png").write_bytes(b"picture")
    entry = {
        "file": "a.png",
        "sha256": hashlib.sha256(b"picture").hexdigest(),
        "family": "line",
        "text": "abc",
        "questions": [{"question": "What is the total?", "answer": None, "task": "refuse"}],
    }
    (folder / "documents.json").write_text(json.dumps([entry | changes]), encoding="utf-8")


def test_the_committed_reading_set_is_the_pinned_one():
    folder = ROOT / "benchmarks" / "reading"
    assert hashlib.sha256((folder / "documents.json").read_bytes()).hexdigest() == READING_SET
    documents = load_documents(folder)  # checks the sha256 of every picture
    families = [d.family for d in documents]
    assert {f: families.count(f) for f in families} == {
        "line": 300,
        "paragraph": 60,
        "receipt/plain": 34,
        "receipt/dot leaders": 66,
        "blank": 20,
    }
    assert sum(len(d.questions) for d in documents) == 593
    assert {d.path for d in documents} == set(folder.glob("*/*"))
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 4_100_000


def test_the_answers_of_the_reading_set_are_printed_where_they_are_quotations():
    for d in load_documents(ROOT / "benchmarks" / "reading"):
        for q in d.questions:
            assert (q.answer is None) == (q.task == "refuse")
            assert q.task not in ("total", "date", "field", "price", "find") or q.answer in d.text


def test_the_example_documents_are_the_described_ones():
    documents = load_documents(ROOT / "examples")
    assert len(documents) >= 5
    quoted = [(d, q) for d in documents for q in d.questions if d.text and q.answer and q.task not in ("sum", "state", "count", "point")]
    assert all(q.answer in d.text for d, q in quoted)
    assert all(3 <= len(d.questions) <= 6 and d.path.stat().st_size < 200_000 for d in documents)
    assert all(q.box is not None for d in documents for q in d.questions if q.task in ("point", "box"))


def test_a_reading_set_is_read_as_written(tmp_path):
    write_set(tmp_path)
    assert load_documents(tmp_path) == [Document(tmp_path / "a.png", "line", "abc", (Question("What is the total?", None, "refuse"),))]


def test_an_altered_picture_is_refused(tmp_path):
    write_set(tmp_path)
    (tmp_path / "a.png").write_bytes(b"another")
    with pytest.raises(InputError, match=r"a\.png is not the pinned picture: sha256 [0-9a-f]{12}, expected [0-9a-f]{12}"):
        load_documents(tmp_path)


def test_a_missing_picture_or_list_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"has no documents\.json"):
        load_documents(tmp_path)
    write_set(tmp_path, file="b.png")
    with pytest.raises(InputError, match=r"b\.png is not the pinned picture: sha256 missing"):
        load_documents(tmp_path)


class Echo:
    """A model that answers with the question and the picture's name."""

    def ask(self, question, media, **options):
        return SimpleNamespace(text=f"{question} {media[0].name} {options}")


def test_a_model_transcribes_what_has_text_and_answers_every_question():
    documents = [document("abc", ("What?", "x", "field"), ("Who?", None, "refuse")), document("", ("Read.", None, "refuse"), name="b.png")]
    first, second = examine(Echo(), documents, temperature=0.0)
    assert first.text == "Read the text. a.png {'temperature': 0.0}"
    assert first.answers == ["What? a.png {'temperature': 0.0}", "Who? a.png {'temperature': 0.0}"]
    assert (second.document, second.text) == (documents[1], "")
    assert second.answers == ["Read. b.png {'temperature': 0.0}"]


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("Milk 2.00\nSubtotal 5.00\nTOTAL $5.25\nCash 10.00\nChange 4.75", "5.25"),
        ("Net total 9.00\nTax amount 1.00\nAmount payable: 10.00 €", "10.00"),
        ("Bread 3.00\nTotal 1,203.00 1,303.00", "1303.00"),
        ("Bread 3,00\nCheese 4,10\nWine 3,50", "4.10"),
        ("Total items 3\nTo pay 7.00", "7.00"),
        ("TOTAL 5.25\nof which tax amount 0.25", "5.25"),
        ("Total 10.00\nService 2.00\nGrand total 12.00", "12.00"),
        ("Bread 9.00\nWine 10.00", "10.00"),
        ("nothing here", ""),
        ("", ""),
    ],
)
def test_the_rules_find_the_total(text, total):
    assert find_total(text) == total


@pytest.mark.parametrize(
    "date", ["2021-06-12", "21.3.17", "07/14/2019", "October 4, 2009", "18 March 2024", "16-SEP-18", "Oct 4, 2009", "02-06-2023"]
)
def test_the_rules_find_the_first_date(date):
    assert find_date(f"Tel 555-0173\nPrinted {date} 16:22\nDue 2030-01-01") == date


def test_the_rules_find_no_date_in_codes_and_phone_numbers():
    assert find_date("Tel (207) 555-0142\nNo. 5105-7311\nversion 1.2\n12345-12-123") == ""


def test_rules_answer_totals_and_dates_only():
    asked = document("-", ("Total?", "5.25", "total"), ("Date?", "2021-06-12", "date"), ("Shop?", "X", "field"))
    parsed = parse_fields(Reading(asked, "X\n2021-06-12\nTotal 5.25", 1.0, 2.0))
    assert parsed.answers == ["5.25", "2021-06-12", ""]
    assert (parsed.document, parsed.seconds, parsed.cpu_seconds) == (asked, 1.0, 2.0)


def test_rules_and_leader_dots_are_no_text():
    assert without_ornaments("Milk ..... 2.00\n-----\n* * * *\nA--B 1.. e.g. ___") == "Milk   2.00\n \n \nA--B 1.. e.g.  "


@pytest.mark.parametrize(
    ("truth", "answer", "right"),
    [
        (None, "I cannot tell from this document.", True),
        (None, " i cannot tell from this image.", True),
        (None, "15.72", False),
        ("15.72", "$15.72", True),
        ("15.72", "I cannot tell from this document.", False),
    ],
)
def test_an_unanswerable_question_wants_a_refusal(truth, answer, right):
    assert is_right(Question("?", truth, "any"), answer) is right


def test_scores_are_those_counted_by_hand():
    refusal = "I cannot tell from this document."
    readings = [
        Reading(document("Total ..... 1.50", ("a", "1.50", "total"), ("b", None, "refuse")), "Tota1 1.50", 1.0, 2.0, ["1.50", refusal]),
        Reading(document("abcd", ("c", "x", "field")), "abc", 3.0, 4.0, [refusal]),
        Reading(document("", ("d", None, "refuse"), family="blank"), "", 0.0, 0.0, ["a cat"]),
    ]
    scores = score(readings)
    line = scores["reading"]["line"]
    assert list(scores["reading"]) == ["line"]
    assert line["cer"]["value"] == pytest.approx(2 / 14)  # "Total 1.50" has 10 characters, "abcd" 4; one edit each
    assert line["cer_raw"]["value"] == pytest.approx(8 / 20)
    assert line["cer_without_spaces"]["value"] == pytest.approx(2 / 13)
    assert line["wer"]["value"] == pytest.approx(2 / 3)
    assert line["words_found"]["value"] == pytest.approx(1 / 3)  # of "Total 1.50 abcd" the amount
    assert line["money"]["f1"] == 1.0
    assert (line["documents"], line["characters"]) == (2, 20)
    assert (line["seconds_per_image"], line["cpu_seconds_per_image"]) == (2.0, 3.0)
    assert {task: (s["value"], s["n"]) for task, s in scores["answers"].items()} == {
        "all": (0.5, 4),
        "field": (0.0, 1),
        "refuse": (0.5, 2),
        "total": (1.0, 1),
    }
    assert (scores["refusal"]["precision"]["value"], scores["refusal"]["recall"]["value"]) == (0.5, 0.5)


def test_a_family_is_scored_as_a_whole_and_by_its_kinds():
    readings = [
        Reading(document("abcd", family="receipt/plain"), "abcd", 1.0, 1.0),
        Reading(document("abcd", family="receipt/dot leaders"), "ab", 1.0, 1.0),
    ]
    cer = {family: row["cer"]["value"] for family, row in score(readings)["reading"].items()}
    assert cer == {"receipt": 0.25, "receipt/plain": 0.0, "receipt/dot leaders": 0.5}


def test_a_tool_with_rules_is_scored_on_the_tasks_it_has_rules_for():
    reading = Reading(document("x", ("a", "1.50", "total"), ("b", None, "refuse")), "x", 1.0, 1.0, ["1.50", ""])
    scores = score([reading], frozenset({"total"}))
    assert set(scores["answers"]) == {"total", "all"}
    assert scores["answers"]["all"]["n"] == 1
    assert scores["refusal"] is None


def test_without_refusals_there_is_no_precision():
    reading = Reading(document("x", ("a", "1.50", "total")), "x", 1.0, 1.0, ["1.50"])
    assert score([reading])["refusal"] == {"precision": None, "recall": None}
