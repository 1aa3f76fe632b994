"""Facts to be found again in a long text or on one of many pages, and the questions about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.figures import Notation
from kimi_vl.training.synth.inquiries import Inquiry, joined
from kimi_vl.training.synth.long_wordings import CITE
from kimi_vl.training.synth.questions import Maker
from kimi_vl.training.synth.scene import Overfull, Turn
from kimi_vl.training.synth.traces import Quote, Working, add_up


class Attribute(NamedTuple):
    """What a fact is about, said of one and of several, and how its value is drawn; amounts are drawn by `draw_needles`."""

    one: str
    many: str
    draw: Callable[[Content], str] | None = None


class Needle(NamedTuple):
    """The `attribute` of `name` is `value`; `cents` where it is an amount. `sentence` is how the text says so."""

    attribute: Attribute
    name: str
    value: str
    cents: int
    sentence: str


class Link(NamedTuple):
    """The `relation` of `name` is `other`."""

    relation: str
    name: str
    other: str
    sentence: str


# Two words each: of 150,000 paragraphs hardly any has one of them, so that the facts are all the text says about them.
CODES = Choice(
    (
        Attribute("access code", "access codes", lambda c: c.number(5)),
        Attribute("gate code", "gate codes", lambda c: c.number(c.rng.randint(4, 6))),
        Attribute("alarm code", "alarm codes", lambda c: c.number(4)),
        Attribute("locker number", "locker numbers", lambda c: c.number(3)),
        Attribute("badge number", "badge numbers", lambda c: c.number(6)),
        Attribute("safe combination", "safe combinations", lambda c: f"{c.number(2)}-{c.number(2)}-{c.number(2)}"),
        Attribute("file number", "file numbers", lambda c: c.code()),
        Attribute("ticket code", "ticket codes", lambda c: c.letters(2) + c.number(4)),
        Attribute("desk extension", "desk extensions", lambda c: c.number(4)),
        Attribute("booking reference", "booking references", lambda c: c.letters(6)),
        Attribute("parking space", "parking spaces", lambda c: c.letters(1) + c.number(2)),
        Attribute("secret word", "secret words", lambda c: c.one(c.pack.words(c.split)).lower()),
        Attribute("closing date", "closing dates", lambda c: c.date()),
        Attribute("contact address", "contact addresses", lambda c: c.email()),
        Attribute("service number", "service numbers", lambda c: c.phone()),
    ),
    (
        Attribute("vault number", "vault numbers", lambda c: c.number(5)),
        Attribute("entry phrase", "entry phrases", lambda c: " ".join([c.one(c.pack.words(c.split)).lower() for _ in range(2)])),
        Attribute("radio channel", "radio channels", lambda c: c.number(2) + c.letters(1)),
    ),
)
COSTS = Choice(
    (
        Attribute("monthly rent", "monthly rents"),
        Attribute("cleaning fee", "cleaning fees"),
        Attribute("repair cost", "repair costs"),
        Attribute("yearly budget", "yearly budgets"),
        Attribute("open balance", "open balances"),
        Attribute("entrance fee", "entrance fees"),
    ),
    (Attribute("mooring fee", "mooring fees"), Attribute("heating bill", "heating bills")),
)
SENTENCES = Choice(
    (
        "The {attribute} of {name} is {value}.",
        "The {attribute} of {name} is {value}.",
        "{name} has the {attribute} {value}.",
        "Note: the {attribute} of {name} is {value}.",
        "For {name}, the {attribute} is {value}.",
        "The {attribute} of {name} was set to {value}.",
        "Remember that the {attribute} of {name} is {value}.",
    ),
    ("{value} is the {attribute} of {name}.", "As {attribute} of {name} we use {value}."),
)
RELATIONS = Choice(("deputy", "sponsor", "successor", "neighbour", "supplier", "landlord"), ("guardian", "twin town"))
LINKS = Choice(
    ("The {relation} of {name} is {other}.", "Since spring, the {relation} of {name} is {other}.", "{other} is the {relation} of {name}."),
    ("As {relation} of {name} we have {other}.",),
)
PLACES = Choice(
    tuple(
        "the harbour|the library|the north gate|the old mill|the archive|the boat house|the bakery|the museum|the west wing|the garage|"
        "the workshop|the town hall|the cellar|the reading room|the observatory|the greenhouse|the main office|the laboratory|the stables|"
        "the theatre|the station|the brewery|the school|the lighthouse|the warehouse|the chapel|the swimming pool|the print shop".split("|")
    ),
    ("the shipyard", "the clinic", "the vineyard", "the studio", "the post office", "the east tower"),
)


def draw_name(content: Content) -> str:
    """Of a person, a company, a place or a project."""
    kind = content.rng.randrange(5)
    if kind < 2:
        return content.person()
    if kind == 2:
        return content.company()
    return (
        f"Project {content.one(content.pack.words(content.split)).capitalize()}"
        if kind == 3
        else str(PLACES.pick(content.rng, content.split))
    )


def draw_names(content: Content, count: int, taken: Sequence[str] = ()) -> list[str]:
    """`count` names none of which holds another. Raises Overfull when the pack has too few."""
    names: list[str] = list(taken)
    for _ in range(count * 12):
        name = draw_name(content)
        if _apart(name, names):
            names.append(name)
        if len(names) == count + len(taken):
            return names[len(taken) :]
    raise Overfull(f"no {count} different names")


def draw_attribute(content: Content, costs: float = 0.35) -> Attribute:
    found = (COSTS if content.chance(costs) else CODES).pick(content.rng, content.split)
    assert isinstance(found, Attribute)
    return found


def draw_needles(content: Content, count: int) -> list[Needle]:
    """`count` facts about one or two attributes: different names, different values, none of which holds another."""
    attributes = [draw_attribute(content)]
    if count > 1 and content.chance(0.5):
        attributes.append(draw_attribute(content, 0.2))
    names = draw_names(content, max(1, count if len(set(attributes)) == 1 else -(-count * 3 // 4)))
    keys = [(attribute, name) for attribute in dict.fromkeys(attributes) for name in names]
    first = [(attributes[0], name) for name in names[: (count + 1) // 2]]
    keys = first + content.rng.sample([key for key in keys if key not in first], count - len(first))
    needles: list[Needle] = []
    notation = Notation(2, prefix=content.one(("", "$", "$")))
    for attribute, name in keys:
        for _ in range(30):
            cents = 0 if attribute.draw else content.rng.randint(1000, 99999)
            value = attribute.draw(content) if attribute.draw else notation.full(cents)
            if _apart(value, [needle.value for needle in needles]):
                break
        else:
            raise Overfull(f"no {count} different values of {attribute.one}")
        needles.append(Needle(attribute, name, value, cents, _said(SENTENCES, content, attribute=attribute.one, name=name, value=value)))
    content.rng.shuffle(needles)
    return needles


def draw_link(content: Content, needles: Sequence[Needle]) -> Link:
    """Somebody new whose relation is one of the needles' names."""
    other = content.one(needles).name
    (name,) = draw_names(content, 1, [needle.name for needle in needles])
    relation = str(RELATIONS.pick(content.rng, content.split))
    return Link(relation, name, other, _said(LINKS, content, relation=relation, name=name, other=other))


def _said(choice: Choice, content: Content, **slots: str) -> str:
    form = str(choice.pick(content.rng, content.split))
    text = form.format(**slots)
    return text if form.startswith("{value}") else text[0].upper() + text[1:]


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
        return shared

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
            question = joined(turn.question, self.rng.choice(CITE))
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
            return replace(turn, question=joined(turn.question, self.rng.choice(CITE)))
        return turn
