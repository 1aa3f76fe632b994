"""Facts to be found again in a long text or on one of many pages, and the questions about them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.questions import Maker
from kimi_vl.training.synth.scene import Overfull, Turn
from kimi_vl.training.synth.texts.asking_forms import MORE_CITES
from kimi_vl.training.synth.texts.attributes import Attribute, draw_attribute, draw_name, draw_relation
from kimi_vl.training.synth.texts.fact_forms import LINKS, SENTENCES, compose_fact, compose_link
from kimi_vl.training.synth.texts.inquiries import Inquiry, joined
from kimi_vl.training.synth.traces import Quote, Working, add_up
from kimi_vl.training.synth.wordings.texts import CITE


class Needle(NamedTuple):
    """The `attribute` of `name` is `value`; `cents` where it is an amount.

    `sentence` is how the text says so: `whole` when that is one sentence, which can be quoted.
    """

    attribute: Attribute
    name: str
    value: str
    cents: int
    sentence: str
    whole: bool = True


class Link(NamedTuple):
    """The `relation` of `name` is `other`."""

    relation: str
    name: str
    other: str
    sentence: str


def draw_names(content: Content, count: int, taken: Sequence[str] = ()) -> list[str]:
    """`count` names none of which holds another. Raises Overfull when the pack has too few."""
    names: list[str] = list(taken)
    for _ in range(count * 12):
        name = draw_name(content)
        if name.casefold() != "the" and _apart(name, names):
            names.append(name)
        if len(names) == count + len(taken):
            return names[len(taken) :]
    raise Overfull(f"no {count} different names")


def draw_needles(content: Content, count: int) -> list[Needle]:
    """`count` facts about one or two attributes: different names, different values, none of which holds another."""
    attributes = [draw_attribute(content)]
    if count > 1 and content.chance(0.5):
        second = draw_attribute(content, 0.2)
        if second == attributes[0] or _apart(second.one, [attributes[0].one]):
            attributes.append(second)
    names = draw_names(content, max(1, count if len(set(attributes)) == 1 else -(-count * 3 // 4)))
    keys = [(attribute, name) for attribute in dict.fromkeys(attributes) for name in names]
    first = [(attributes[0], name) for name in names[: (count + 1) // 2]]
    keys = first + content.rng.sample([key for key in keys if key not in first], count - len(first))
    needles: list[Needle] = []
    notation = Notation(2, prefix=content.one(("", "$", "$")))
    taken = [] if content.split == "test" else list(names)
    for attribute, name in keys:
        value, cents = _fresh(content, attribute, notation, taken)
        taken.append(value)
        form = str(SENTENCES.pick(content.rng, content.split))
        slots = {"attribute": attribute.one, "name": name, "value": value}
        if content.split != "test" and content.chance(0.85):
            form = compose_fact(content, wrong=True)
            if "{wrong}" in form:
                slots["wrong"], _ = _fresh(content, attribute, notation, taken)
                taken.append(slots["wrong"])
        needles.append(Needle(attribute, name, value, cents, said(form, **slots), is_sentence(form)))
    content.rng.shuffle(needles)
    return needles


def _fresh(content: Content, attribute: Attribute, notation: Notation, taken: Sequence[str]) -> tuple[str, int]:
    """A value and its cents that neither holds nor is held by a value that is taken. Raises Overfull."""
    for _ in range(30):
        cents = 0 if attribute.draw else content.rng.randint(1000, 99999)
        value = attribute.draw(content) if attribute.draw else notation.full(cents)
        if _apart(value, taken):
            return value, cents
    raise Overfull(f"no other value of {attribute.one}")


def draw_link(content: Content, needles: Sequence[Needle]) -> Link:
    """Somebody new whose relation is one of the needles' names."""
    other = content.one(needles).name
    (name,) = draw_names(content, 1, [needle.name for needle in needles])
    relation = draw_relation(content)
    form = str(LINKS.pick(content.rng, content.split))
    if content.split != "test" and content.chance(0.75):
        form = compose_link(content)
    return Link(relation, name, other, said(form, relation=relation, name=name, other=other))


def said(form: str, **slots: str) -> str:
    """The form with its braces filled; the first letter is a capital, unless it is the value's own."""
    text = form.format(**slots)
    return text if form.startswith("{value}") else text[0].upper() + text[1:]


def is_sentence(form: str) -> bool:
    """Whether a form is one sentence with its stop. What fills its braces may have points of its own."""
    return is_closed(form) and not re.search(r"[.?!>] ", form)


def is_closed(text: str) -> bool:
    """Whether a fact ends so that running text may follow; rows and keys with values need a line of their own."""
    return text[-1] in ".?!" or text[-2:] in ('."', ".'", ".)")


def _apart(text: str, others: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(folded not in other.casefold() and other.casefold() not in folded for other in others)


class NeedleTurns:
    """Draws turns about needles; `pages` says on which page each sentence stands, and is empty for a text without pages.

    Each maker returns None when the needles do not allow its question. Raises Overfull when the text says more about
    the attributes than the needles do: then nothing can be counted, and nothing refused.
    """

    def __init__(
        self,
        content: Content,
        interview: Inquiry,
        needles: Sequence[Needle],
        links: Sequence[Link] = (),
        pages: Mapping[str, int] | None = None,
    ) -> None:
        self.content, self.rng, self.interview = content, content.rng, interview
        self.links, self.pages = links, pages or {}
        self.cites = CITE if content.split == "test" else (*CITE, *MORE_CITES)
        flat = " ".join(interview.text.split())
        folded = flat.casefold()
        self.needles = sorted(needles, key=lambda needle: flat.index(needle.sentence))  # as they are read
        for attribute in {needle.attribute for needle in needles}:
            if folded.count(attribute.one) != sum(n.attribute == attribute for n in needles):
                raise Overfull(f"the text itself speaks of a {attribute.one}")

    def makers(self) -> list[tuple[Maker, int]]:
        shared: list[tuple[Maker, int]] = [
            *((self.value, 30), (self.owner, 8), (self.quote, 5), (self.hop, 14), (self.link, 3), (self.count, 6), (self.listing, 3)),
            *((self.sum_two, 14), (self.higher, 5), (self.absent, 16), (self.given, 5)),
        ]
        return shared if self.content.split == "test" else [*shared, (self.confirm, 6)]

    def evidence(self, fact: Needle | Link) -> str:
        """The sentence, with its page."""
        page = self.pages.get(fact.sentence)
        return f"Page {page}: {fact.sentence}" if page else fact.sentence

    def find(self, key: str, answer: str, fact: Needle | Link, task: str, /, *, cite: bool = False, **slots: str) -> Turn:
        """Answer with what a fact says; demanded thinking quotes it. `cite` demands the page as well."""
        assert answer.casefold() in fact.sentence.casefold(), f"{answer!r} is not in {fact.sentence!r}"
        turn = self.interview.glance(key, answer, self.evidence(fact), task, **slots)
        page = self.pages.get(fact.sentence)
        if page and cite:
            question = joined(turn.question, self.rng.choice(self.cites))
            turn = replace(turn, question=question, answer=f"{answer} (page {page})")
        return turn

    # Found -----------------------------------------------------------------------------------------------------------

    def value(self) -> Turn | None:
        needle = self.rng.choice(self.needles)
        cite = self.rng.random() < 0.35
        return self.find("needle_value", needle.value, needle, "needle", cite=cite, attribute=needle.attribute.one, name=needle.name)

    def owner(self) -> Turn | None:
        needle = self.rng.choice(self.needles)
        if self.interview.text.count(needle.value) != 1:
            return None
        slots = {"attribute": needle.attribute.one, "value": needle.value}
        return self.find("needle_owner", needle.name, needle, "which", cite=self.rng.random() < 0.2, **slots)

    def quote(self) -> Turn | None:
        needle = self.rng.choice(self.needles)
        if not needle.whole:
            return None
        page = self.pages.get(needle.sentence)
        thought = f"It gives {needle.value}." if not page else f"It is on page {page}."
        return self.interview.glance("needle_quote", needle.sentence, thought, "needle", attribute=needle.attribute.one, name=needle.name)

    def link(self) -> Turn | None:
        if not self.links:
            return None
        link = self.rng.choice(self.links)
        return self.find("needle_link", link.other, link, "needle", relation=link.relation, name=link.name)

    def given(self) -> Turn | None:
        """Whether the text says it; half of the times it does not."""
        needle = self.rng.choice(self.needles)
        name = needle.name if self.rng.random() < 0.5 else draw_name(self.content)
        if name != needle.name and not _apart(name, [n.name for n in self.needles]):
            return None
        known = next((n for n in self.needles if n.attribute == needle.attribute and n.name.casefold() == name.casefold()), None)
        thought = self.evidence(known) if known else f"The {needle.attribute.one} of {name} is not given."
        answer = "Yes." if known else "No."
        return self.interview.glance("needle_given", answer, thought, "needle", attribute=needle.attribute.one, name=name)

    def confirm(self) -> Turn | None:
        """Whether a value is the right one; half of the times it is another's."""
        needle = self.rng.choice(self.needles)
        value = needle.value if self.rng.random() < 0.5 else self.rng.choice(self.needles).value
        thought = self.evidence(needle)
        slots = {"attribute": needle.attribute.one, "name": needle.name, "value": value}
        return self.interview.glance("needle_confirm", "Yes." if value == needle.value else "No.", thought, "check", **slots)

    # Worked out ------------------------------------------------------------------------------------------------------

    def hop(self) -> Turn | None:
        """From one fact to the next."""
        if not self.links:
            return None
        link = self.rng.choice(self.links)
        needle = self.rng.choice([n for n in self.needles if n.name == link.other])
        trace = f"{self.evidence(link)}\n{self.evidence(needle)}"
        slots = {"attribute": needle.attribute.one, "relation": link.relation, "name": link.name}
        return self._worked("needle_hop", needle.value, Working(trace, 1), "needle", **slots)

    def _alike(self) -> list[Needle]:
        attribute = self.rng.choice(self.needles).attribute
        return [n for n in self.needles if n.attribute == attribute]

    def count(self) -> Turn | None:
        found = self._alike()
        trace = "\n".join(f"{k}. {n.name}: {n.value}" for k, n in enumerate(found, 1))
        slots = {"attribute": found[0].attribute.one, "attributes": found[0].attribute.many}
        return self._worked("needle_count", str(len(found)), Working(trace, len(found)), "count", **slots)

    def listing(self) -> Turn | None:
        found = self._alike()
        if len(found) < 2:
            return None
        answer = "\n".join(f"{n.name}: {n.value}" for n in found)
        slots = {"attribute": found[0].attribute.one, "attributes": found[0].attribute.many}
        return self.interview.glance("needle_list", answer, f"There are {len(found)}.", "needle", **slots)

    def _two_amounts(self) -> tuple[Needle, Needle] | None:
        amounts = [n for n in self.needles if n.cents]
        pairs = [(a, b) for a in amounts for b in amounts if a.attribute == b.attribute and a.name != b.name]
        return self.rng.choice(pairs) if pairs else None

    def sum_two(self) -> Turn | None:
        pair = self._two_amounts()
        if pair is None:
            return None
        a, b = pair
        notation = Notation(2, prefix="$" if "$" in a.value else "")
        working = add_up(self.rng, notation.bare, self._quotes(pair))
        slots = {"attribute": a.attribute.one, "attributes": a.attribute.many, "a": a.name, "b": b.name}
        return self._worked("needle_sum", notation.full(a.cents + b.cents), working, "sum", **slots)

    def higher(self) -> Turn | None:
        pair = self._two_amounts()
        if pair is None or pair[0].cents == pair[1].cents:
            return None
        a, b = pair
        best = max(pair, key=lambda n: n.cents)
        working = Working(f"{self.evidence(a)}\n{self.evidence(b)}\n{best.value} is higher.", 1)
        return self._worked("needle_higher", best.name, working, "which", attribute=a.attribute.one, a=a.name, b=b.name)

    def _quotes(self, needles: Sequence[Needle]) -> list[Quote]:
        return [Quote(n.name, n.cents, n.value, self.evidence(n)) for n in needles]

    def _worked(self, key: str, answer: str, working: Working, task: str, /, **slots: str) -> Turn:
        return self.interview.work(key, answer, working, task, trivial=True, easy=False, **slots)

    # Refused ---------------------------------------------------------------------------------------------------------

    def absent(self) -> Turn | None:
        """A known attribute of another name, another attribute of a known name, or nothing known at all."""
        needle = self.rng.choice(self.needles)
        draw = self.rng.random()
        attribute, name = needle.attribute, needle.name
        if draw < 0.6:
            name = self.rng.choice([n.name for n in self.needles]) if draw < 0.2 else draw_name(self.content)
        else:
            attribute = draw_attribute(self.content)
        if any(n.attribute == attribute and not _apart(n.name, [name]) for n in self.needles):
            return None
        if attribute not in [n.attribute for n in self.needles] and not self.interview.lacks(attribute.one):
            return None
        turn = self.interview.refuse("needle_value", f"There is no {attribute.one} of {name}.", attribute=attribute.one, name=name)
        if self.pages and self.rng.random() < 0.25:
            return replace(turn, question=joined(turn.question, self.rng.choice(self.cites)))
        return turn
