"""Which question was asked, told from its words alone, and what a text says about it: wordings and forms of facts read backwards."""

import re
from functools import lru_cache
from unittest.mock import patch

from kimi_vl.training.synth.texts import attributes
from kimi_vl.training.synth.texts.asking_forms import BEFORE, BRIEF
from kimi_vl.training.synth.texts.attributes import CODES, COSTS, MORE_CODES, MORE_COSTS, MORE_RELATIONS, RELATIONS
from kimi_vl.training.synth.texts.fact_forms import CLAUSES, CORRECTED, LEADS, LINK_CLAUSES, LINKS, MARKS, NOTES, ROWS, SENTENCES, TAILS
from kimi_vl.training.synth.texts.inquiries import ASKED, COMPOSED
from kimi_vl.training.synth.texts.needles import is_closed

ATTRIBUTES = {a.one: a for choice in (CODES, COSTS) for a in (*choice.seen, *choice.held_out)} | {
    a.one: a for a in (*MORE_CODES, *MORE_COSTS)
}
NAMED = {
    "attribute": "\x01",
    "attributes": "\x02",
    "relation": "|".join((*RELATIONS.seen, *RELATIONS.held_out, *MORE_RELATIONS)),
    "n": r"\d+",
    "count": r"\d+",
    "rate": r"\d+",
    "ordinal": "first|second|third",
}
NO_QUESTION = "[^?]+?"  # what fills the other braces
KEYS = ASKED.keys() | COMPOSED.keys()
only_listed = patch.multiple(
    attributes, INVENTED=0.0, INVENTED_RELATIONS=0.0, INVENTED_NAMES=0.0
)  # invented words cannot be told from others


def _any_of(texts: list[str]) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(re.escape(t) for t in sorted(texts, key=len, reverse=True))})\b", re.IGNORECASE)


ONE, MANY = _any_of(list(ATTRIBUTES)), _any_of([a.many for a in ATTRIBUTES.values()])


@lru_cache(maxsize=16384)
def pattern(wording: str) -> re.Pattern[str]:
    """What matches a question in that wording, however it was typed; attributes are marks."""
    seen: set[str] = set()

    def slot(found: re.Match[str]) -> str:
        name = found[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{NAMED.get(name, NO_QUESTION)})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", slot, re.escape(wording.rstrip("?."))) + r"[?.]*", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=256)
def _longest_first(key: str) -> list[tuple[str, str]]:
    """Wordings, each with its longest run of letters outside of braces, which saves most of the matching."""
    wordings = sorted({*ASKED.get(key, ()), *COMPOSED.get(key, ())}, key=len, reverse=True)
    return [(max(re.split(r"\{\w+\}", wording.rstrip("?.")), key=len).casefold(), wording) for wording in wordings]


@lru_cache(maxsize=1024)
def marked(question: str) -> tuple[str, str, str]:
    """The question with marks for its attribute, and the attribute in singular and plural."""
    many, one = MANY.search(question), ONE.search(question)
    if many:
        question = MANY.sub("\x02", question)
    if one:
        question = ONE.sub("\x01", question)
    return question, one[0] if one else "", many[0] if many else ""


@lru_cache(maxsize=4096)
def bare(question: str) -> tuple[str, ...]:
    """The question with and without what is said around it."""
    found = [question.removesuffix(f" {brief}") for brief in BRIEF if question.endswith(f" {brief}")]
    return (*found, *[question.removeprefix(f"{start} ") for start in BEFORE if question.startswith(f"{start} ")], question)


@lru_cache(maxsize=65536)
def _slots(question: str, key: str) -> dict[str, str] | None:
    folded = question.casefold()
    for run, wording in _longest_first(key):  # the less there is in braces, the surer
        if run not in folded:
            continue
        about = "{attribute" in wording
        mine, one, many = marked(question) if about else (question, "", "")
        if about and "\x01" not in mine and "\x02" not in mine:
            continue
        if found := pattern(wording).fullmatch(mine if about else question):
            filled = {name: value.replace("\x01", one).replace("\x02", many) for name, value in found.groupdict().items()}
            if not about or "\x01" not in "".join(value for name, value in found.groupdict().items() if name not in NAMED):
                return filled
    return None


def slots(question: str, key: str) -> dict[str, str] | None:
    """What the braces of a wording of `key` stood for; None when `question` is no wording of it."""
    return next((filled for asked in bare(question) if (filled := _slots(asked, key)) is not None), None)


def _small(form: str) -> str:
    """A pattern for an opening or ending with its numbers and days."""
    return re.escape(form).replace(r"\{k\}", r"\d+").replace(r"\{day\}", r"\w+day").replace(r"\{month\}", r"\w+")


_LEAD = f"(?:{'|'.join(map(_small, sorted(LEADS, key=len, reverse=True)))})"
_TAIL = f"(?:{'|'.join(map(_small, sorted(TAILS, key=len, reverse=True)))})"
_MARK = f"(?:{'|'.join(map(_small, sorted(MARKS, key=len, reverse=True)))})"
_VALUE = r"(?:(?!(?<!\b[A-Z])[.?!][\"')]? )[^\x01\x02\n]){1,60}?"  # not beyond the end of a sentence; initials end none
_STOP = r"(?:[.!]|[.,][\"'])(?=\s|$)"
_BEFORE_VALUE = re.compile(r"[:.?!,]? [\"']|: |[.?!] |^[\"']")  # what may stand before a value that begins its sentence
_START = r"(?:^|(?<=[\s\"'(]))"
_FRESH = r"(?:^|(?<=\n)|(?<=[\"'(])|(?<=[.?!:;,\"')] )|(?<=\d ))"  # where a value may begin a sentence


def _filled(form: str) -> str:
    """The pattern of a form in a text whose attribute and name are marks."""
    text = re.escape(form).replace(r"\{attribute\}", "\x01").replace(r"\{relation\}", "\x01").replace(r"\{name\}", "\x02")
    text = text.replace(r"\{value\}", f"(?P<value>{_VALUE})").replace(r"\{other\}", f"(?P<value>{_VALUE})")
    return text.replace(r"\{wrong\}", _VALUE)


def _compiled(form: str, *, loose: bool) -> re.Pattern[str]:
    flags = re.IGNORECASE
    if form in ROWS:
        signs = _filled(form).replace(r"\ !\ ", r" (?:\||-) ").replace(" (?:\\||-) ", r"(?: \| | - |; )")
        return re.compile(rf"(?:^|\s){_MARK}{signs}(?=\s|$)" if loose else rf"(?:^|(?<=\n)){_MARK}{signs}(?=\n|$)", flags)
    if form in NOTES and not is_closed(form):
        return re.compile(rf"{_START}{_filled(form)}(?={'[ ]|' if loose else ''}\n|$)", flags)
    if form in NOTES or form.endswith("."):
        start = _START if not form.startswith(("{value}", "{other}")) else _FRESH
        return re.compile(rf"{start}{_filled(form.rstrip('.'))}{'[.]' if form.endswith('.') else ''}(?=\s|$)", flags)
    if form.startswith(("{value}", "{other}")):
        return re.compile(rf"{_FRESH}{_LEAD}{_filled(form)}{_TAIL}{_STOP}", flags)
    return re.compile(rf"{_START}{_filled(form)}{_TAIL}{_STOP}", flags)


FACTS = (*CLAUSES, *CORRECTED, *ROWS, *NOTES, *SENTENCES.seen, *SENTENCES.held_out)
RELATED = (*LINK_CLAUSES, *LINKS.seen, *LINKS.held_out)


@lru_cache(maxsize=8)
def _forms(facts: bool, loose: bool) -> list[tuple[str, re.Pattern[str]]]:
    """With the longest run of letters outside of braces, which saves most of the searching."""
    forms = dict.fromkeys(FACTS if facts else RELATED)
    runs = [max(re.split(r"\{\w+\}|!", form.rstrip(".")), key=len).casefold() for form in forms]
    return [(run, _compiled(form, loose=loose)) for run, form in zip(runs, forms, strict=True)]


def _after_lead(value: str) -> str:
    return re.sub(rf"^\s*{_LEAD}", "", _BEFORE_VALUE.split(value)[-1], flags=re.IGNORECASE)


def _read(text: str, what: str, name: str, *, facts: bool, loose: bool = False) -> list[tuple[int, str]]:
    """Where `text` gives `what` of the name, and as which value: of all forms that fit there, that with the shortest value."""
    signed = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", "\x02", text, flags=re.IGNORECASE)
    signed = re.sub(rf"\b{re.escape(what)}\b", "\x01", signed, flags=re.IGNORECASE)
    found = []
    for place in [m.start() for m in re.finditer("\x01", signed)]:
        low = max(0, place - 200)
        window = signed[low : place + 200]
        if "\x02" not in window:
            continue
        folded = window.casefold()
        fitting = [form for run, form in _forms(facts, loose) if run in folded]
        matches = [m for form in fitting for m in form.finditer(window) if m.start() <= place - low < m.end()]
        if matches:
            found.append((place, min((_after_lead(m["value"]) for m in matches), key=len)))
    return found


def stated(text: str, attribute: str, name: str, *, loose: bool = False) -> list[tuple[int, str]]:
    """Where `text` gives the attribute of the name, and as which value. `loose` takes any space for the end of a row."""
    return _read(text, attribute, name, facts=True, loose=loose)


def said(text: str, attribute: str, name: str, *, loose: bool = False) -> list[str]:
    """Every value that `text` gives for the attribute of the name."""
    return [value for _, value in stated(text, attribute, name, loose=loose)]


def related(text: str, relation: str, name: str) -> list[str]:
    """Everybody whom `text` gives as the relation of the name."""
    return [other for _, other in _read(text, relation, name, facts=False)]
