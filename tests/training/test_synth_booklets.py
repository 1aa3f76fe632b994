"""Documents of several pages: pages are told apart by the characters they are said to hold, never by how they were drawn."""

import random
import re
from decimal import Decimal
from functools import cache, lru_cache

import numpy as np
import pytest

from kimi_vl.processor.labels import page_label
from kimi_vl.training.packing import TASKS
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.pages import CLOSING
from kimi_vl.training.synth.pack import LISTS, SPLITS, DataPack
from kimi_vl.training.synth.scene import REFUSAL, Overfull, Page, Scene, Turn
from kimi_vl.training.synth.texts.asking_forms import MORE_CITES, MORE_PAGED
from kimi_vl.training.synth.texts.booklets import LONG, SHORT, Blank, booklet, booklet_of, booklet_short
from kimi_vl.training.synth.texts.inquiries import ASKED, COMPOSED
from kimi_vl.training.synth.traces import mistakes
from kimi_vl.training.synth.wordings.texts import CITE, PAGED
from tests.training.heard import only_listed, said, slots

PACK = DataPack.builtin()
FIRST = (
    *("needle_hop", "needle_higher", "needle_sum", "needle_link", "needle_quote", "needle_given", "needle_confirm"),
    "needle_owner",
    *("page_of_needle", "page_of_kind", "highest_total", "lowest_total"),
)
KEYS = sorted(  # those whose wordings hold the words of others come first
    [key for key in ASKED | COMPOSED if re.match(r"page_|highest_total|lowest_total|totals_sum|kind_count_pages|needle_", key)],
    key=lambda key: key not in FIRST,
)
CITES = sorted((*CITE, *MORE_CITES), key=len, reverse=True)
CITED = re.compile(r"(.+) \(page (\d+)\)", re.DOTALL)


def drawn(index: int, split: str = "train", pack: DataPack = PACK, make=booklet, severity: float = 0.0) -> Scene:
    content = Content(random.Random(f"{split}/{index}"), pack, split)
    for _ in range(40):
        try:
            return make(content, severity)
        except Overfull:
            continue
    raise AssertionError("forty draws did not fit")


@cache
def all_drawn() -> list[Scene]:
    """Made when first asked for: every worker imports this file, and one runs it."""
    with only_listed:
        return [drawn(index, split) for split in SPLITS for index in range(200)]


def cells(page: Page) -> int:
    height, width = page.image.shape[:2]
    return -(-height // 28) * -(-width // 28)


def squeezed(text: str) -> str:
    return "".join(text.split())


def letters(page: Page) -> str:
    """The characters of a page without spaces."""
    return "".join(map(chr, page.chars[:, 0].astype(int)))


def uncited(question: str) -> str:
    """The question without the demand for the page behind it."""
    return next((question.removesuffix(f" {cite}") for cite in CITES if question.endswith(f" {cite}")), question)


Asking = tuple[Scene, Turn, str, dict[str, str]]


@lru_cache(maxsize=1)
def understood() -> list[Asking]:
    """Scene, turn, key and slots of every question that is a wording of one of KEYS."""
    found = []
    for scene in all_drawn():
        for turn in scene.turns:
            question = uncited(turn.question)
            for key in KEYS:
                if (filled := slots(question, key)) is not None:
                    found.append((scene, turn, key, filled))
                    break
    return found


def askings(*keys: str) -> list[Asking]:
    return [case for case in understood() if case[2] in keys]


def number_of(answer: str, scene: Scene) -> int:
    found = re.fullmatch(r"page (\d+)", answer)
    assert found, answer
    assert 1 <= int(found[1]) <= len(scene.pages)
    return int(found[1])


def pages_with(text: str, scene: Scene) -> list[int]:
    return [k for k, page in enumerate(scene.pages, 1) if squeezed(text).casefold() in letters(page).casefold()]


def texts(scene: Scene) -> list[str]:
    """The text of each page in one row: as many rows as its characters fill."""
    rows, found = scene.text.split("\n"), list[str]()
    for page in scene.pages:
        mine = list[str]()
        while len(squeezed("".join(mine))) < len(page.chars):
            mine.append(rows.pop(0))
        found.append(" ".join(mine))
    return found


def given(scene: Scene, filled: dict[str, str]) -> tuple[int, str]:
    """The one page that gives an attribute of a name, and the value there."""
    pages = [said(text, filled["attribute"], filled["name"], loose=True) for text in texts(scene)]
    ((number, value),) = [(number, value) for number, values in enumerate(pages, 1) for value in values]
    return number, value


def agree(answer: str, read: str) -> bool:
    """Rows without stops run on in a page's text: what is read may lack the answer's last words, or have more before or behind them."""
    return f" {answer} " in f" {read} " or answer.startswith(f"{read} ")


def test_pages_are_labelled_in_order_and_small():
    for scene in all_drawn():
        assert [page.label for page in scene.pages] == [page_label(k) for k in range(1, len(scene.pages) + 1)]
        for page in scene.pages:
            assert page.image.dtype == np.uint8
            assert page.image.flags.c_contiguous
            assert cells(page) <= 352
            assert page.image.shape[0] <= 616
            assert page.image.shape[1] <= 448


def test_most_documents_have_two_to_five_pages_and_few_have_up_to_twelve():
    counts = [len(scene.pages) for scene in all_drawn()]
    tokens = [sum(map(cells, scene.pages)) for scene in all_drawn()]
    assert set(counts) >= {2, 3, 4, 5}
    assert 0.05 < np.mean([count > 5 for count in counts]) < 0.2
    assert max(counts) <= 12
    assert max(tokens) <= LONG
    assert all(total <= SHORT for count, total in zip(counts, tokens, strict=True) if count <= 5)
    assert all(sum(map(cells, drawn(k, make=booklet_short).pages)) <= SHORT for k in range(60))


def test_a_document_that_outgrows_its_tokens_ends_before_and_asks_about_the_pages_that_are_left():
    ended = 0
    for index in range(60):
        scene = drawn(index, make=lambda content, severity: booklet_of(content, severity, 500))
        ended += len(scene.pages) == 2
        assert sum(map(cells, scene.pages)) <= 500
        for turn in scene.turns:
            if slots(turn.question, "page_count") is not None:
                assert turn.answer == str(len(scene.pages))
            question = uncited(turn.question)
            if turn.task == "needle" and (filled := slots(question, "needle_value")) and not any(slots(question, key) for key in FIRST):
                found = CITED.fullmatch(turn.answer)
                assert agree(found[1] if found else turn.answer, given(scene, filled)[1])
    assert ended > 20


def test_characters_of_all_pages_are_the_transcription_and_lie_inside_their_page():
    for scene in all_drawn():
        assert "".join(letters(page) for page in scene.pages) == squeezed(scene.text)
        for page in scene.pages:
            assert page.chars.dtype == np.float32
            assert (page.chars[:, 1:] > 0).all()
            assert (page.chars[:, 1:] < page.image.shape[1::-1]).all()


def test_worn_pages_keep_their_characters_inside():
    changed = 0
    for index in range(40):
        clean, worn = drawn(index), drawn(index, severity=1.0)
        changed += not np.array_equal(clean.pages[0].image, worn.pages[0].image)
        for page in worn.pages:
            assert (page.chars[:, 1:] > 0).all()
            assert (page.chars[:, 1:] < page.image.shape[1::-1]).all()
    assert changed > 5


def test_a_value_stands_on_the_page_that_is_cited_and_on_no_other():
    cited = plain = 0
    for scene, turn, _, filled in askings("needle_value"):
        if turn.task != "needle":
            continue
        found = CITED.fullmatch(turn.answer)
        value = found[1] if found else turn.answer
        page, read = given(scene, filled)
        assert agree(value, read), turn
        if found:
            assert any(turn.question.endswith(cite) for cite in CITES)
            assert page == int(found[2]), turn
        cited, plain = cited + bool(found), plain + (not found)
    assert cited > 15
    assert plain > 30


def test_the_page_of_a_fact_is_the_one_that_gives_it():
    cases = askings("page_of_needle")
    assert len(cases) > 60
    for scene, turn, _, filled in cases:
        number = number_of(turn.answer, scene)
        assert given(scene, filled)[0] == number, turn
        if turn.thinking:
            assert squeezed(turn.thinking.removeprefix(f"Page {number}: ")) in letters(scene.pages[number - 1])


@pytest.mark.parametrize(
    ("key", "slot"), [("page_of_title", "title"), ("page_of_shop", "shop"), ("page_of_item", "item"), ("page_of_word", "word")]
)
def test_what_is_asked_for_stands_on_the_answered_page_alone(key, slot):
    found = 0
    for scene, turn, _, filled in askings(key):
        text = filled[slot].strip('"')
        if turn.task == "refuse":
            assert turn.answer == REFUSAL
            assert not pages_with(text, scene)
        elif pages_with(text, scene):  # a wording of another key leaves more in the slot than stands anywhere
            assert pages_with(text, scene) == [number_of(turn.answer, scene)], turn
            found += 1
    assert found > 15


def amount(text: str) -> Decimal:
    """The last number of a row, whatever separates its decimals; prices have two."""
    digits = re.sub(r"[^\d]", "", re.findall(r"[\d.,]*\d", text)[-1])
    return Decimal(digits) / 100


def test_totals_of_pages_add_up_and_the_trace_quotes_every_page():
    cases = askings("totals_sum")
    assert len(cases) > 40
    thought = 0
    for scene, turn, _, filled in cases:
        numbers = [int(k) for k in re.findall(r"\d+", filled["pages"])]
        assert len(numbers) in (2, 3)
        assert max(numbers) <= len(scene.pages)
        if turn.thinking is None:
            continue
        thought += 1
        rows = {int(m[1]): m[2] for m in re.finditer(r"Page (\d+): ([^\n]*?)\"?\.?$", turn.thinking, re.MULTILINE)}
        assert set(rows) == set(numbers), turn
        for number, row in rows.items():
            assert squeezed(row) in letters(scene.pages[number - 1]), turn
        assert sum(amount(row) for row in rows.values()) == amount(turn.answer), turn
        assert not mistakes(turn.thinking)
    assert thought > 20


def test_the_highest_total_is_the_highest_of_those_quoted():
    cases = askings("highest_total", "lowest_total")
    assert len(cases) > 15
    for scene, turn, key, _ in cases:
        number_of(turn.answer, scene)
        for number in re.findall(r"Page (\d+)", turn.thinking or ""):
            assert int(number) <= len(scene.pages)
        said_of = dict(re.findall(r"Page (\d+): ?(?:Page \d+: )?(.*\d)", turn.thinking or ""))
        rows = {int(k): amount(row) for k, row in said_of.items() if not re.search(r" [<>=] ", row)}
        if len(rows) >= 2 and turn.answer == f"page {next(iter(rows))}":
            best = (max if key == "highest_total" else min)(rows.values())
            assert rows[int(turn.answer.removeprefix("page "))] == best, turn


def test_pages_and_letters_are_counted():
    for scene, turn, _, _ in askings("page_count"):
        assert turn.answer == str(len(scene.pages))
    closings = [squeezed(text) for text in (*CLOSING.seen, *CLOSING.held_out)]
    counted = [case for case in askings("kind_count_pages") if case[3]["kind"].rstrip("s").casefold() == "letter"]
    assert len(counted) > 5
    for scene, turn, _, _ in counted:
        assert turn.answer == str(sum(any(text in letters(page) for text in closings) for page in scene.pages)), turn
        if turn.thinking:
            assert turn.thinking.count("\n") == len(scene.pages) - 1


def test_the_first_and_last_lines_of_a_page_are_its_ends():
    cases = askings("page_first", "page_last")
    assert len(cases) > 60
    beyond = 0
    for scene, turn, key, filled in cases:
        number = int(filled["n"])
        if number > len(scene.pages):
            assert turn.answer == REFUSAL
            beyond += 1
            continue
        text = letters(scene.pages[number - 1])
        assert (text.startswith if key == "page_first" else text.endswith)(squeezed(turn.answer)), turn
    assert beyond > 5


def test_titles_and_totals_of_a_page_stand_on_it():
    cases = askings("page_title", "page_total")
    assert len(cases) > 40
    for scene, turn, _, filled in cases:
        number = int(filled["n"])
        if number > len(scene.pages):
            assert turn.answer == REFUSAL
        else:
            assert squeezed(turn.answer) in letters(scene.pages[number - 1]), turn


def test_a_question_to_one_page_is_answered_from_that_page():
    forms = [
        re.compile(re.escape(form).replace(r"\{n\}", r"(?P<n>\d+)").replace(r"\{question\}", "(?P<q>.+)")) for form in (*PAGED, *MORE_PAGED)
    ]
    quoted = refused = 0
    for scene in all_drawn():
        for turn in scene.turns:
            found = next((m for form in forms if (m := form.fullmatch(turn.question))), None)
            if found is None or any(slots(turn.question, key) is not None for key in KEYS):
                continue
            page = scene.pages[int(found["n"]) - 1]
            if (
                turn.task in ("field", "price", "line", "title")
                and "only" not in found["q"].lower()
                and slots(found["q"], "needle_value") is None
            ):
                quoted += squeezed(turn.answer) in letters(page)
            filled = slots(found["q"], "needle_value")
            if turn.task == "refuse" and filled:
                refused += 1
                assert int(found["n"]) != given(scene, filled)[0], turn
            if turn.thinking and turn.task != "refuse":
                assert turn.thinking.startswith(f"Page {found['n']}:\n")
    assert quoted > 40
    assert refused > 10


def test_facts_that_are_refused_are_on_no_page():
    cases = [case for case in askings("needle_value") if case[1].task == "refuse"]
    assert len(cases) > 20
    for scene, turn, _, filled in cases:
        assert turn.answer == REFUSAL
        assert not said(scene.text.replace("\n", " "), filled["attribute"], filled["name"], loose=True)


def test_refusals_are_a_tenth_to_a_fifth_of_the_questions():
    tasks = [turn.task for scene in all_drawn() for turn in scene.turns]
    assert 0.08 < tasks.count("refuse") / len(tasks) < 0.25
    assert set(tasks) >= {"which", "needle", "sum", "field", "count", "line", "title", "refuse"}
    assert set(tasks) <= set(TASKS)


def test_thinking_is_there_when_demanded_and_never_when_forbidden():
    turns = [turn for scene in all_drawn() for turn in scene.turns]
    assert all(turn.thinking for turn in turns if turn.mode == "on")
    assert all(turn.thinking is None for turn in turns if turn.mode == "off")
    assert all(1 <= len(scene.turns) <= 8 for scene in all_drawn())


def test_pages_of_one_document_may_look_alike():
    content = Content(random.Random(1), PACK, "train")
    first = Blank(content)
    second = Blank(content, first)
    assert second.look == first.look
    assert second.canvas.paper == first.canvas.paper
    assert second.canvas is not first.canvas


def test_equal_seeds_give_identical_bytes():
    def fingerprint(scene: Scene) -> tuple:
        return [page.image.tobytes() + page.chars.tobytes() for page in scene.pages], scene.turns, scene.text

    first = fingerprint(drawn(7, severity=1.0))
    drawn(8, "val")
    assert fingerprint(drawn(7, severity=1.0)) == first
    assert fingerprint(drawn(8, severity=1.0)) != first


@pytest.mark.parametrize("split", SPLITS)
def test_nothing_but_the_asked_split_is_used(split):
    lonely = DataPack({split: PACK.faces(split)}, {(name, split): getattr(PACK, name)(split) for name in LISTS}, digest="lonely")
    for index in range(6):
        mine, theirs = drawn(index, split, lonely), drawn(index, split)
        assert mine.text == theirs.text
        assert mine.turns == theirs.turns


def test_every_line_of_thinking_that_names_a_page_quotes_that_page():
    quoted = 0
    for scene, turn, key, _ in understood():
        if turn.task not in ("needle", "which", "sum") or key in ("highest_total", "lowest_total", "totals_sum"):
            continue
        for number, row in re.findall(r"Page (\d+): ([A-Z].+[a-z0-9]\.)$", turn.thinking or "", re.MULTILINE):
            quoted += 1
            assert squeezed(row) in letters(scene.pages[int(number) - 1]), turn
    assert quoted > 40
