"""Documents of several pages: receipts, bills, letters, forms, tables and notices, asked about across their pages."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

from kimi_vl.processor.labels import page_label
from kimi_vl.training.synth.augment import augment
from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.clerks import Clerk
from kimi_vl.training.synth.documents.invoices import InvoiceClerk
from kimi_vl.training.synth.documents.lines import unique_word
from kimi_vl.training.synth.documents.pages import CLOSING, GREETING, Writer
from kimi_vl.training.synth.documents.paragraphs import set_text, title
from kimi_vl.training.synth.documents.receipt_turns import ReceiptTurns
from kimi_vl.training.synth.documents.receipts import Receipt, choose_fonts
from kimi_vl.training.synth.documents.rows import choose_setting, print_rows, total_height
from kimi_vl.training.synth.questions import Interview, Maker
from kimi_vl.training.synth.scene import Overfull, Page, Scene, Turn
from kimi_vl.training.synth.texts.asking_forms import MORE_PAGED
from kimi_vl.training.synth.texts.inquiries import Inquiry
from kimi_vl.training.synth.texts.needles import NeedleTurns, draw_link, draw_needles, is_closed
from kimi_vl.training.synth.traces import Quote, Working, add_up
from kimi_vl.training.synth.wordings.texts import PAGED

WIDTHS = (448, 448, 420, 392, 364)
TALLEST = 616
SHORT, LONG = 1650, 3900  # image tokens of a document; the conversation takes some 200 more
ATTEMPTS = 8  # at one page; every third is too long for its paper
MILDER = 0.6  # of the severity of single pictures: a document is degraded on every third page or so
Ask = Callable[[Interview], list[Turn]]


class Leaf(NamedTuple):
    """A finished page and what is known about it; `head` is its title or the shop's name, `slip` what a receipt or bill says."""

    page: Page
    text: str
    kind: str
    head: str
    ask: Ask
    slip: Receipt | None = None


class Blank(Writer):
    """An empty page of at most 448 x 616 pixels, looking like page `like` of the same document, where there is one."""

    def __init__(self, content: Content, like: "Blank | None" = None) -> None:
        super().__init__(content, like.canvas.width if like else content.one(WIDTHS), 12, 15)
        if like:
            self.look = like.look
            self.canvas = Canvas(like.canvas.width, self.canvas.height, like.canvas.paper)
        self.bottom = TALLEST - self.rng.randint(12, 36)
        self.head = ""

    def entitle(self) -> None:
        self.head = " ".join(title(self.content).split())
        self.heading(text=self.head)

    def tell(self, text: str) -> None:
        """A paragraph that is printed whole."""
        if not text:
            return
        self.y, _ = set_text(self.canvas, self.look.column, text, self.y)
        self.gap()

    def mention(self, needle: str) -> None:
        """A sentence by itself or in running text; mere text where it is empty."""
        around = [self.content.prose() if self.content.chance(0.45) or not needle else "" for _ in range(2)]
        if needle and not is_closed(needle):
            return self.tell(needle)
        before, after = [text if len(text) < 200 else "" for text in around]
        self.tell(" ".join(f"{before} {needle} {after}".split()))


def notice(sheet: Blank, needles: list[str]) -> None:
    sheet.entitle()
    parts = needles + [""] * sheet.rng.randint(0 if needles else 1, 3)
    sheet.rng.shuffle(parts)
    for part in parts:
        sheet.mention(part)


def letter(sheet: Blank, needles: list[str]) -> None:
    content, rng = sheet.content, sheet.rng
    date, sender = content.date(), content.person()
    sheet.head = ""
    sheet.line(sender, "sender")
    sheet.line(content.place())
    sheet.gap()
    sheet.line(date, "date", date, right=content.chance(0.4))
    sheet.gap()
    sheet.line(str(GREETING.pick(rng, content.split)).format(content.person()))
    sheet.gap()
    for needle in needles or [content.prose()]:
        sheet.mention(needle)
    sheet.line(str(CLOSING.pick(rng, content.split)))
    sheet.line(sender)


def form(sheet: Blank, needles: list[str]) -> None:
    sheet.entitle()
    sheet.entries(sheet.rng.randint(3, 8))
    sheet.gap()
    for needle in needles:
        sheet.tell(needle)


def tabled(sheet: Blank, needles: list[str]) -> None:
    sheet.entitle()
    for needle in needles:
        sheet.tell(needle)
    if sheet.room() < 6:
        raise Overfull("no room for a table")
    sheet.table()


KINDS: dict[str, Callable[[Blank, list[str]], None]] = {"notice": notice, "letter": letter, "form": form, "table": tabled}


class Binder:
    """Draws the pages of one document until it has enough or its image tokens are spent."""

    def __init__(self, content: Content, severity: float, tokens: int, count: int) -> None:
        self.content, self.rng, self.severity = content, content.rng, severity
        self.left = tokens
        self.money = content.money()
        self.leaves: list[Leaf] = []
        self.pages: dict[str, int] = {}  # on which page a sentence stands
        self.pattern = Blank(content) if content.chance(0.5) else None
        self.numbered = content.chance(0.3)
        self.slips = content.one((0.0, 0.3, 0.5, 0.8, 1.0)) if content.chance(0.6) else 0.2  # share of receipts and bills
        self.count = count

    def bind(self, sentences: list[str]) -> None:
        """Raises Overfull when not even two pages fit."""
        rest = list(sentences)
        kinds = ["slip" if self.content.chance(self.slips) else self.content.one(list(KINDS)) for _ in range(self.count)]
        if sentences and all(kind == "slip" for kind in kinds):
            kinds[self.rng.randrange(len(kinds))] = "notice"
        written = [k for k, kind in enumerate(kinds) if kind != "slip"]
        lot: list[list[str]] = [[] for _ in kinds]
        for sentence in rest:
            lot[self.rng.choice(written)].append(sentence)
        for number, (kind, mine) in enumerate(zip(kinds, lot, strict=True), 1):
            leaf = self.leaf(kind, number, mine)
            height, width = leaf.page.image.shape[:2]
            self.left -= -(-height // 28) * -(-width // 28)
            if self.left < 0:
                break
            self.leaves.append(leaf)
            self.pages |= dict.fromkeys(mine, number)
        if len(self.leaves) < 2:
            raise Overfull("not even two pages fit")

    def leaf(self, kind: str, number: int, sentences: list[str]) -> Leaf:
        for _ in range(ATTEMPTS):
            try:
                return self.slip(number) if kind == "slip" else self.written(kind, number, sentences)
            except Overfull:
                continue
        raise Overfull(f"{ATTEMPTS} draws of a {kind} did not fit on a page")

    def written(self, kind: str, number: int, sentences: list[str]) -> Leaf:
        sheet = Blank(self.content, self.pattern)
        KINDS[kind](sheet, sentences)
        if self.numbered:
            sheet.gap()
            sheet.line(f"Page {number}" if self.content.chance(0.5) else str(number))
        if sheet.y > TALLEST - 4:
            raise Overfull(f"a {kind} needs {sheet.y:.0f} pixels")
        draft = sheet.draft()
        return self._finished(draft.canvas, min(draft.height, TALLEST), draft.x_height, number, kind, sheet.head, draft.ask)

    def slip(self, number: int) -> Leaf:
        """A receipt or a bill in the document's currency."""
        content, rng = self.content, self.rng
        fonts = choose_fonts(content, 12, 16)
        bill = content.chance(0.3)
        slip = (InvoiceClerk if bill else Clerk)(content, self.money).write()
        paper, ink = content.colours(0.85)
        width = content.one(WIDTHS[:3] if bill else WIDTHS)
        setting = choose_setting(content, slip.rows, fonts, width, ink, slip.stretch)
        needed = total_height(slip.rows, setting)
        if needed + 24 > TALLEST:
            raise Overfull(f"{len(slip.rows)} rows need {needed} pixels")
        canvas = Canvas(width, TALLEST, paper)
        bottom = print_rows(canvas, slip.rows, setting, rng.randint(6, 16))
        height = min(TALLEST, max(196, bottom + rng.randint(4, 16)))

        def ask(interview: Interview) -> list[Turn]:
            return ReceiptTurns(content, interview, slip).draw(3)

        head = slip.facts["shop"].answer if "shop" in slip.facts else ""
        kind = "bill" if bill else "receipt"
        return self._finished(canvas, height, setting.fonts["plain"].x_height, number, kind, head, ask, slip)

    def _finished(
        self, canvas: Canvas, height: int, x_height: float, number: int, kind: str, head: str, ask: Ask, slip: Receipt | None = None
    ) -> Leaf:
        image, chars, text = canvas.finish(height)
        image, chars = augment(self.rng, image, chars, x_height=x_height, severity=self.severity * MILDER)
        return Leaf(Page(image, chars, page_label(number)), text, kind, head, ask, slip)


class BookletTurns:
    """Draws turns about one document; each maker returns None when the document does not allow its question."""

    def __init__(self, content: Content, interview: Inquiry, leaves: list[Leaf], facts: NeedleTurns | None) -> None:
        self.content, self.rng, self.interview, self.facts, self.leaves = content, content.rng, interview, facts, leaves
        self.paged_forms = PAGED if content.split == "test" else (*PAGED, *MORE_PAGED)
        self.slips = [(number, leaf.slip) for number, leaf in enumerate(leaves, 1) if leaf.slip]

    def draw(self, count: int) -> list[Turn]:
        makers: list[tuple[Maker, int]] = [
            *((self.paged, 22), (self.totals_sum, 12), (self.extreme_total, 5), (self.page_total, 6), (self.titled, 4), (self.edge, 6)),
            *((self.page_count, 3), (self.kind_count, 4), (self.which_head, 7), (self.which_item, 5), (self.which_word, 5)),
            *((self.which_kind, 4), (self.beyond, 4), (self.absent_word, 2), (self.interview.foreign, 2)),
        ]
        if self.facts:
            makers += [(self.which_needle, 9), (self.elsewhere, 4)]
            makers += [(maker, -(-weight // 2)) for maker, weight in self.facts.makers()]
        return self.interview.draw(count, makers)

    def _any(self) -> tuple[int, Leaf]:
        number = self.rng.randrange(len(self.leaves)) + 1
        return number, self.leaves[number - 1]

    # On one page -----------------------------------------------------------------------------------------------------

    def paged(self) -> Turn | None:
        """A question about a single page, asked of that page."""
        number, leaf = self._any()
        turns = [
            t
            for t in leaf.ask(Interview(self.rng, leaf.text, split=self.content.split))
            if len(t.answer) <= 120 and len(t.thinking or "") <= 300
        ]
        if not turns:
            return None
        turn = self.rng.choice(turns)
        thinking = turn.thinking and f"Page {number}:\n{turn.thinking}"
        return replace(turn, question=self.paged_question(turn, number), thinking=thinking)

    def paged_question(self, turn: Turn, number: int) -> str:
        return self.rng.choice(self.paged_forms).format(n=number, question=turn.question)

    def page_total(self) -> Turn | None:
        if not self.slips:
            return None
        number, slip = self.rng.choice(self.slips)
        (quote,) = self._totals([(number, slip)])
        return self.interview.glance("page_total", quote.text, quote.row, "field", n=str(number))

    def titled(self) -> Turn | None:
        number, leaf = self._any()
        if not leaf.head or leaf.slip:
            return None
        return self.interview.glance("page_title", leaf.head, f"Page {number}: {leaf.head}", "title", n=str(number))

    def edge(self) -> Turn:
        """The first or the last line of a page."""
        number, leaf = self._any()
        rows = leaf.text.split("\n")
        first = self.rng.random() < 0.6
        row = rows[0 if first else -1]
        return self.interview.glance("page_first" if first else "page_last", row, f"It is on page {number}.", "line", n=str(number))

    # Which page ------------------------------------------------------------------------------------------------------

    def _only(self, text: str) -> int | None:
        """The number of the only page that holds `text`."""
        found = [number for number, leaf in enumerate(self.leaves, 1) if text.casefold() in " ".join(leaf.text.casefold().split())]
        return found[0] if len(found) == 1 else None

    def which(self, key: str, number: int, evidence: str, /, **slots: str) -> Turn:
        return self.interview.glance(key, f"page {number}", f"Page {number}: {' '.join(evidence.split())}", "which", **slots)

    def which_needle(self) -> Turn:
        assert self.facts is not None
        needle = self.rng.choice(self.facts.needles)
        number = self.facts.pages[needle.sentence]
        return self.which("page_of_needle", number, needle.sentence, attribute=needle.attribute.one, name=needle.name)

    def which_head(self) -> Turn | None:
        leaf = self.rng.choice(self.leaves)
        number = self._only(leaf.head) if len(leaf.head) > 3 else None
        if number is None:
            return None
        return (
            self.which("page_of_shop", number, leaf.head, shop=leaf.head)
            if leaf.slip
            else self.which("page_of_title", number, leaf.head, title=leaf.head)
        )

    def which_item(self) -> Turn | None:
        if not self.slips:
            return None
        item = self.rng.choice(self.rng.choice(self.slips)[1].items)
        number = self._only(item.name)
        return None if number is None else self.which("page_of_item", number, item.row, item=item.name)

    def which_word(self) -> Turn | None:
        found = unique_word([" ".join(leaf.text.split()) for leaf in self.leaves], self.content)
        if found is None:
            return None
        word, k = found
        row = next((row for row in self.leaves[k].text.split("\n") if word in row), word)
        return self.which("page_of_word", k + 1, row, word=word)

    def _countable(self) -> list[str]:
        """Kinds that cannot be taken for one another here: a bill could pass for a receipt."""
        kinds = {leaf.kind for leaf in self.leaves}
        return ["letter"] + ([] if "bill" in kinds else ["receipt"]) + ([] if kinds & {"bill", "receipt"} else ["table"])

    def which_kind(self) -> Turn | None:
        kind = self.rng.choice(self._countable())
        found = [number for number, leaf in enumerate(self.leaves, 1) if leaf.kind == kind]
        if len(found) != 1:
            return None
        return self.which("page_of_kind", found[0], self.leaves[found[0] - 1].text.split("\n")[0], kind=kind)

    def extreme_total(self) -> Turn | None:
        low = self.rng.random() < 0.4
        amounts = sorted(slip.printed_total for _, slip in self.slips)
        if len(amounts) < 2 or amounts[0] == amounts[1] or amounts[-1] == amounts[-2]:
            return None
        number, _ = (min if low else max)(self.slips, key=lambda pair: pair[1].printed_total)
        word = "lowest" if low else "highest"
        quotes = self._totals(self.slips)
        rows = "\n".join(f"{quote.name} {quote.text}" for quote in quotes)
        working = Working(f"{rows}\nThe {word} is on page {number}.", len(quotes) - 1)
        return self.interview.work(f"{word}_total", f"page {number}", working, "which", trivial=True)

    def _totals(self, slips: Sequence[tuple[int, Receipt]]) -> list[Quote]:
        """The printed totals; a label may stand above its amount, so rows are joined to one line."""
        facts = [(number, slip.printed_total, slip.facts["total"]) for number, slip in slips]
        return [Quote(f"Page {k}:", cents, fact.answer, f"Page {k}: {' '.join(fact.row.split())}") for k, cents, fact in facts]

    # Across pages ----------------------------------------------------------------------------------------------------

    def totals_sum(self) -> Turn | None:
        pairs = [*combinations(self.slips, 2), *combinations(self.slips, 3)]
        if not pairs:
            return None
        chosen = self.rng.choice(pairs)
        numbers = [str(number) for number, _ in chosen]
        cents = [slip.printed_total for _, slip in chosen]
        money = chosen[0][1].money
        working = add_up(self.rng, money.bare, self._totals(chosen))
        said = f"pages {', '.join(numbers[:-1])} and {numbers[-1]}"
        signed = all(slip.facts["total"].answer != slip.money.bare(slip.printed_total) for _, slip in chosen)
        answer = money.full(sum(cents)) if signed else money.bare(sum(cents))
        return self.interview.work("totals_sum", answer, working, "sum", trivial=len(chosen) == 2, pages=said)

    def page_count(self) -> Turn:
        count = len(self.leaves)
        return self.interview.glance("page_count", str(count), f"The last one is page {count}.", "count")

    def kind_count(self) -> Turn | None:
        kind = self.rng.choice(self._countable())
        found = [number for number, leaf in enumerate(self.leaves, 1) if leaf.kind == kind]
        trace = "\n".join(f"Page {k}: {leaf.kind}" for k, leaf in enumerate(self.leaves, 1))
        return self.interview.work("kind_count_pages", str(len(found)), trace, "count", trivial=True, kind=kind)

    # Refused ---------------------------------------------------------------------------------------------------------

    def beyond(self) -> Turn:
        """A page that does not exist."""
        count = len(self.leaves)
        key = self.rng.choice(("page_first", "page_last", "page_title", "page_total"))
        thought = f"There are only {count} pages."
        return self.interview.refuse(key, thought, n=str(count + self.rng.randint(1, 5)))

    def elsewhere(self) -> Turn | None:
        """A fact asked of a page that it is not on."""
        assert self.facts is not None
        needle = self.rng.choice(self.facts.needles)
        number, _ = self._any()
        if number == self.facts.pages[needle.sentence]:
            return None
        turn = self.interview.refuse("needle_value", f"It is not on page {number}.", attribute=needle.attribute.one, name=needle.name)
        return replace(turn, question=self.paged_question(turn, number))

    def absent_word(self) -> Turn | None:
        word = self.content.word()
        if not self.interview.lacks(word):
            return None
        return self.interview.refuse("page_of_word", f'No page contains "{word}".', word=word)


def booklet(content: Content, severity: float) -> Scene:
    """Two to five pages of at most 352 image tokens each and 1,650 together, one time in eight up to twelve pages and 3,900 tokens.
    Raises Overfull."""
    return booklet_of(content, severity, LONG) if content.chance(0.12) else booklet_of(content, severity, SHORT)


def booklet_short(content: Content, severity: float) -> Scene:
    """Two to five pages of at most 1,650 image tokens together. Raises Overfull."""
    return booklet_of(content, severity, SHORT)


def booklet_of(content: Content, severity: float, tokens: int) -> Scene:
    """A document of at most `tokens` image tokens: two to five pages up to SHORT, six to twelve above. Raises Overfull."""
    rng = content.rng
    count = rng.choice((2, 3, 3, 4, 4, 5)) if tokens <= SHORT else rng.randint(6, 12)
    binder = Binder(content, severity, tokens, count)
    needles = draw_needles(content, rng.choice((1, 2, 2, 3, 3, 4, 5))) if content.chance(0.75) else []
    links = [draw_link(content, needles)] if needles and content.chance(0.25) else []
    binder.bind([needle.sentence for needle in needles] + [link.sentence for link in links])
    text = "\n".join(leaf.text for leaf in binder.leaves)
    interview = Inquiry(rng, text, split=content.split)
    printed = [needle for needle in needles if needle.sentence in binder.pages]
    known = [link for link in links if link.sentence in binder.pages and link.other in [needle.name for needle in printed]]
    facts = NeedleTurns(content, interview, printed, known, binder.pages) if printed else None
    turns = BookletTurns(content, interview, binder.leaves, facts).draw(rng.randint(3, 6) if tokens <= SHORT else rng.randint(4, 8))
    return Scene([leaf.page for leaf in binder.leaves], turns, text)
