"""What can be asked about papers and tickets: particulars by any of their names, items, tables, and what is not on them."""

from dataclasses import dataclass, field

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.extraction_turns import Good, items_turn
from kimi_vl.training.synth.documents.forms import Entry
from kimi_vl.training.synth.documents.goods import names_of_role, role_of
from kimi_vl.training.synth.documents.lines import containing_turn
from kimi_vl.training.synth.documents.particulars import KINDS
from kimi_vl.training.synth.documents.receipts import Fact
from kimi_vl.training.synth.documents.rulings import Page
from kimi_vl.training.synth.documents.sheet_turns import SheetTurns
from kimi_vl.training.synth.documents.sheets import Sheet
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Turn

LONGEST_READING = 1100  # characters that are asked for at once; about 450 tokens
AWKWARD = frozenset("in out left was before now only to from re where due paid instead of nat sex at or where".split())  # "Tell me the In."
GENERIC = ("date", "time", "total", "number", "customer", "phone", "name", "fare")  # any value of the same sort could be meant


@dataclass
class Paper:
    """The facts of a printed document: `entries` are its particulars by kind, `goods` its line items with their rows."""

    facts: dict[str, Fact] = field(default_factory=dict)
    entries: list[tuple[str, Entry]] = field(default_factory=list)
    sheet: Sheet | None = None
    goods: list[tuple[Good, str]] = field(default_factory=list)
    unlabelled: set[str] = field(default_factory=set)  # kinds that are printed without a label

    @property
    def kinds(self) -> set[str]:
        return {kind for kind, _ in self.entries} | self.unlabelled


def said_label(text: str) -> str:
    """A label as somebody says it: "Inv. no." is "inv. no"."""
    return text.casefold().strip(" .:#")


class PaperTurns:
    """Draws turns about one paper; each maker returns None when the paper does not allow its question."""

    def __init__(self, content: Content, interview: Interview, paper: Paper) -> None:
        self.content, self.rng, self.interview, self.paper = content, content.rng, interview, paper
        self.table = SheetTurns(content, interview, Page(paper.sheet)) if paper.sheet else None

    def draw(self, count: int) -> list[Turn]:
        """`count` different turns, fewer when the paper is poor."""
        paper = self.paper
        makers = [(self.entry, 34 if paper.entries else 0), (self.fact, 16 if paper.facts else 0), (self.absent, 10), (self.line, 5)]
        makers.append((self.price, 12 if paper.goods else 0))
        makers.append((self.items, 8 if paper.goods else 0))
        if self.table:
            makers += [(self.tabled, 45), (self.renamed, 10), (self.unsold, 6 if paper.goods else 0)]
        return self.interview.draw(count, makers)

    def names_of(self, kind: str) -> list[str]:
        """What a kind of particular may be called."""
        names = dict.fromkeys(said_label(label) for label in KINDS[kind].labels.seen)
        return [name for name in names if name not in AWKWARD]

    def entry(self) -> Turn | None:
        """A particular by its label or by another name of it that nothing else on the paper could have."""
        kind, entry = self.content.one(self.paper.entries)
        told = self.content.chance(0.6) and said_label(entry.label) not in AWKWARD
        known = [*KINDS[kind].labels.seen, *KINDS[kind].labels.held_out]
        told = told or said_label(entry.label) not in map(said_label, known)  # nobody would know it by another name
        said = entry.label.casefold() if told else self.content.one(self.names_of(kind))
        said = self.content.one((said, said, entry.label)) if said == entry.label.casefold() else said
        folded = said_label(said)
        for other, found in self.paper.entries:
            if other != kind and any(folded in name or name in folded for name in (*self.names_of(other), said_label(found.label))):
                return None
        if entry.row not in self.interview.text:
            return None
        return self.interview.lookup("entry", entry.value, entry.row, label=said)

    def fact(self) -> Turn:
        key = self.rng.choice(list(self.paper.facts))
        fact = self.paper.facts[key]
        return self.interview.lookup(key, fact.answer, fact.row)

    def price(self) -> Turn | None:
        """What an article costs, where its row has one amount only."""
        good, row = self.content.one(self.paper.goods)
        if self.paper.sheet and sum(c.kind == "money" for c in self.paper.sheet.columns) > 1:
            return None
        if good.quantity not in ("", "1"):
            return None
        return self.interview.lookup("price", good.price, row, "price", item=self.content.one((good.name, good.name, good.name.lower())))

    def tabled(self) -> Turn | None:
        """What is asked about any table, but for refusals: a head of another name is no reason to refuse."""
        turns = self.table.draw(1) if self.table else []
        return turns[0] if turns and turns[0].task != "refuse" else None

    def renamed(self) -> Turn | None:
        """A cell by another name of its column: the unit price where the head says "Each"."""
        sheet = self.paper.sheet
        if sheet is None:
            return None
        column, k = self.rng.choice(sheet.columns), self.rng.randrange(len(sheet.names))
        role = role_of(column.head)
        if role in ("", "name", "number") or not column.cells[k]:
            return None
        said = self.content.one(names_of_role(role))
        others = [c.said for c in sheet.columns if c is not column]
        names = [name for other in others if role_of(other) for name in names_of_role(role_of(other))]
        if any(said in other or other in said for other in (*others, *names)):
            return None
        row = " ".join(sheet.rows[k])
        return self.interview.lookup("cell", column.cells[k], row, "cell", column=said, row=sheet.names[k])

    def unsold(self) -> Turn | None:
        """The price of an article that is not on the paper."""
        name = self.content.product()
        if not all(self.interview.lacks(word) for word in name.split(" ")):
            return None
        return self.interview.refuse("price", f"There is no {name} on it.", item=self.content.one((name, name.lower())))

    def items(self) -> Turn | None:
        return items_turn(self.interview, [good for good, _ in self.paper.goods])

    def line(self) -> Turn | None:
        return containing_turn(self.interview, self.interview.text.split("\n"), self.content)

    def _in_table(self) -> set[str]:
        """Sorts of values that the table holds, so that none of them can be called absent."""
        sheet = self.paper.sheet
        if sheet is None:
            return set()
        kinds = {column.kind for column in sheet.columns}
        return {"name", "title", "count", "money", "measure", "town", "time"} | ({"date"} & kinds) | ({"code"} & kinds)

    def absent(self) -> Turn | None:
        """A particular that the paper does not have, under any name."""
        if self.content.chance(0.15):
            return self.interview.foreign()
        kind = self.content.one(tuple(KINDS))
        label = self.content.one(self.names_of(kind))
        if not all(self.interview.lacks(word) for word in label.split()):
            return None
        if KINDS[kind].key and KINDS[kind].key in self.paper.facts:
            return None
        names = self.names_of(kind)
        for other in self.paper.kinds:
            if any(a in b or b in a for a in names for b in self.names_of(other)):
                return None
            if kind in GENERIC and KINDS[other].values == KINDS[kind].values:
                return None
        if KINDS[kind].values in self._in_table():
            return None
        return self.interview.refuse("entry", f"There is no {label} on it.", label=label)
