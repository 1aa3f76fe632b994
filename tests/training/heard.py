"""Which question was asked, told from its words alone: the wordings read backwards."""

import re
from functools import lru_cache

from kimi_vl.training.synth.inquiries import ASKED
from kimi_vl.training.synth.needles import CODES, COSTS, LINKS, RELATIONS, SENTENCES

ATTRIBUTES = {a.one: a for choice in (CODES, COSTS) for a in (*choice.seen, *choice.held_out)}
NAMED = {
    "attribute": "|".join(ATTRIBUTES),
    "attributes": "|".join(a.many for a in ATTRIBUTES.values()),
    "relation": "|".join((*RELATIONS.seen, *RELATIONS.held_out)),
    "n": r"\d+",
    "count": r"\d+",
    "rate": r"\d+",
}


@lru_cache(maxsize=4096)
def pattern(wording: str) -> re.Pattern[str]:
    """What matches a question in that wording, however it was typed."""
    seen: set[str] = set()

    def slot(found: re.Match[str]) -> str:
        name = found[1]
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{NAMED.get(name, '.+?')})"

    return re.compile(re.sub(r"\\\{(\w+)\\\}", slot, re.escape(wording.rstrip("?."))) + r"[?.]*", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=256)
def _longest_first(key: str) -> list[str]:
    return sorted(ASKED[key], key=len, reverse=True)


def slots(question: str, key: str) -> dict[str, str] | None:
    """What the braces of a wording of `key` stood for; None when `question` is no wording of it."""
    for wording in _longest_first(key):  # the less there is in braces, the surer
        if found := pattern(wording).fullmatch(question):
            return found.groupdict()
    return None


def stated(text: str, attribute: str, name: str) -> list[tuple[int, str]]:
    """Where `text` gives the attribute of the name, and as which value, by all forms of sentences."""
    found: dict[int, str] = {}
    for form in (*SENTENCES.seen, *SENTENCES.held_out):
        form = re.escape(form).replace(r"\{attribute\}", re.escape(attribute)).replace(r"\{name\}", re.escape(name))
        form = form.rstrip(".\\").replace(r"\{value\}", r"(?P<value>\S+?(?: \S+?){0,3}?)") + r"\.(?=\s|$)"
        for match in re.finditer(form, text, re.IGNORECASE):
            found[match.end()] = re.split(r"[.?!\"'] ", match["value"])[-1]  # a value that begins its sentence comes with words before it
    return sorted(found.items())


def said(text: str, attribute: str, name: str) -> list[str]:
    """Every value that `text` gives for the attribute of the name."""
    return [value for _, value in stated(text, attribute, name)]


def related(text: str, relation: str, name: str) -> list[str]:
    """Everybody whom `text` gives as the relation of the name."""
    found: dict[int, str] = {}
    for form in (*LINKS.seen, *LINKS.held_out):
        form = re.escape(form).replace(r"\{relation\}", re.escape(relation)).replace(r"\{name\}", re.escape(name))
        form = form.rstrip(".\\").replace(r"\{other\}", r"(?P<other>[\w.,&' -]+?)") + r"\.(?=\s|$)"
        found |= {m.end(): re.split(r"[.?!\"'] ", m["other"])[-1] for m in re.finditer(form, text, re.IGNORECASE)}
    return list(found.values())
