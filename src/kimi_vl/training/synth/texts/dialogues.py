"""Short conversations without a picture: arithmetic, small jobs on typed text, prose to be continued, and talk about itself."""

import re
from dataclasses import replace

from kimi_vl.training.synth.content import MONTHS, Choice, Content
from kimi_vl.training.synth.demands import dated
from kimi_vl.training.synth.documents.extraction_turns import Good, as_json
from kimi_vl.training.synth.figures import Notation, markdown
from kimi_vl.training.synth.questions import Maker
from kimi_vl.training.synth.scene import Overfull, Scene, Turn
from kimi_vl.training.synth.texts.calculations import Calculations, listed
from kimi_vl.training.synth.texts.copies import CopyTurns
from kimi_vl.training.synth.texts.inquiries import Inquiry, joined
from kimi_vl.training.synth.texts.needles import NeedleTurns, draw_needles, is_closed
from kimi_vl.training.synth.traces import Quote, add_up, enumerate_names, extreme

LIMIT = "I only know what I can see or read here."
NO_IMAGE = "There is no image."
TALK = {  # what it says about itself and to be polite: key of the wordings, answers
    "hello": ("Hello! Show me a document, a chart or a screen, or type a question.", "Hello! What shall I read?"),
    "how_are_you": ("I am a small program and work as I should. What shall I read?",),
    "thanks": ("You are welcome.",),
    "bye": ("Goodbye.",),
    "who": ("I am nano, a small model of the Kimi-VL architecture, made for reading documents, charts and screens.",),
    "made": ("I am nano, a small model built after the published Kimi-VL architecture. I am not the original Kimi-VL.",),
    "can": ("I read documents, charts, tables and screens, find values in them and do simple sums. I know little else.",),
    "trained": ("I was trained on rendered documents, charts, screens and short texts, not on the internet.",),
}
COUNTRIES = Choice(tuple("France|Japan|Norway|Brazil|Kenya|Canada|Italy|Peru|Egypt|India".split("|")), ("Austria", "Chile", "Nepal"))
WORKS = Choice(("Hamlet", "the Mona Lisa", "Faust", "Don Quixote", "the Iliad", "The Scream"), ("Dracula", "The Night Watch"))
ELEMENTS = Choice(("iron", "gold", "oxygen", "carbon", "helium"), ("copper", "neon"))
TOPICS = Choice(
    ("photosynthesis", "quantum physics", "democracy", "gravity", "the stock market", "evolution", "an engine", "jazz"),
    ("chess", "inflation"),
)
SENTENCES = Choice(
    (
        "Please write to {email} before {date}.",
        "{person} paid {amount} on {date}.",
        "Call {person} at {phone} or write to {email}.",
        "The fee of {amount} is due on {date}.",
        "On {date}, {person} will send {amount}.",
        "For questions, {person} can be reached under {phone}.",
        "Our new address is {email}; the old one works until {date}.",
        "We owe {person} {amount}. Please confirm to {email}.",
    ),
    ("{person} ({email}) ordered goods for {amount}.", "From {date} on, dial {phone} and ask for {person}."),
)
MORE_SENTENCES = tuple(  # in training
    (
        "{person}, {phone}, {email}|{date}: {person} paid {amount}.|{amount} was sent by {person} on {date}.|"
        "You can mail {person} at {email}.|"
        "Name: {person}; phone: {phone}|Name: {person}, due: {date}, amount: {amount}|From: {email}, date: {date}|"
        "{person} wrote from {email}.|"
        "The {amount} that {person} owes must be here by {date}.|{email} is what {person} uses now.|"
        "Whoever dials {phone} talks to {person}.|"
        "{person}'s number is {phone}.|Send {amount} before {date}, please.|Since {date}, {person} has had the number {phone}.|"
        "It cost {amount}.|It happened on {date}.|Ring {phone} now.|Is {email} still right?|{person} was there.|I paid {amount}, I think.|"
        "{person} ({phone}) is away until {date}.|Mail: {email}, tel: {phone}|{person} - {amount} - {date}|"
        "Yesterday {person} spent {amount}.|"
        "Dear {person}, we have received {amount}.|Invoice of {date}: {amount}|Our hotline {phone} closes on {date}.|"
        'If lost, please return it to {person}, {phone}.|{date}, {amount}, {person}|"I gave {person} {amount}," she said.|'
        "Meeting with {person} on {date}, details from {email}|The invoice ({amount}) came on {date}."
    ).split("|")
)
LIST_FORMS = ("{name} {price}", "{name}: {price}", "- {name} {price}", "{name} - {price}")
CRUDE = re.compile(
    r"fuck|shit|cunt|nigg|bitch|whore|rape|porn|\bsex|\bass\b|damn", re.IGNORECASE
)  # found in old fortunes; nano is not to say it
SENTENCE_END = re.compile(r"(?<=[.!?]) (?=[A-Z])")


class Dialogue:
    """Draws turns that need nothing but what is typed."""

    def __init__(self, content: Content) -> None:
        self.content, self.rng = content, content.rng
        self.interview = Inquiry(content.rng, "", split=content.split)

    def calculations(self) -> list[tuple[Maker, int]]:
        return Calculations(self.content, self.interview).makers()

    def typing(self) -> list[tuple[Maker, int]]:
        """Small jobs on typed text; those of split "test" are fewer."""
        more: list[tuple[Maker, int]] = [] if self.content.split == "test" else [(self.notes, 14), (self.copies, 7)]
        return [
            *more,
            *(
                (self.typed_list, 16),
                (self.extract, 9),
                (self.iso_date, 3),
                (self.long_date, 2),
                (self.sort_numbers, 5),
                (self.sort_words, 3),
            ),
            *((self.count_words, 3), (self.count_letters, 2), (self.spell, 2), (self.recase, 3), (self.repeat, 2), (self.end_word, 2)),
        ]

    def talk(self) -> list[tuple[Maker, int]]:
        return [(self.polite, 6), (self.itself, 6), (self.unknown, 9), (self.unseen, 7)]

    def onto(self, turn: Turn, text: str) -> Turn:
        """The typed text before or behind the question about it."""
        rng, question = self.rng, turn.question
        stopped = question if question[-1] in "?.:" else f"{question}:"
        kind = rng.randrange(4)
        if kind == 0:
            asked = f"{text}\n\n{question}"
        elif kind == 1 and "\n" not in text and text[-1] in ".?!":
            asked = joined(text, question)
        else:
            asked = f"{stopped}{' ' if kind == 2 and chr(10) not in text else chr(10)}{text}"
        return replace(turn, question=asked)

    # Typed lists -----------------------------------------------------------------------------------------------------

    def typed_list(self) -> Turn | None:
        """Two to six things with prices, and one question about them."""
        content, rng = self.content, self.rng
        names = list(dict.fromkeys([content.product() for _ in range(rng.randint(2, 6))]))
        if len(names) < 2 or any(a in b for a in names for b in names if a is not b):
            return None
        notation = Notation(2, prefix=rng.choice(("", "", "$")))
        cents = [content.cents() for _ in names]
        prices = [notation.full(c) for c in cents]
        form = rng.choice(LIST_FORMS)
        rows = [form.format(name=name, price=price) for name, price in zip(names, prices, strict=True)]
        text = ", ".join(rows) if rng.random() < 0.3 and form[0] != "-" else "\n".join(rows)
        quotes = [Quote(n, c, p, r) for n, c, p, r in zip(names, cents, prices, rows, strict=True)]
        turn = self._about_list(quotes, notation)
        return turn and self.onto(turn, text)

    def _about_list(self, quotes: list[Quote], notation: Notation) -> Turn | None:
        ask, rng = self.interview, self.rng
        draw, one = rng.random(), rng.choice(quotes)
        if draw < 0.4:
            working = add_up(rng, notation.bare, quotes, whole=True)
            return ask.work("typed_sum", notation.full(sum(q.value for q in quotes)), working, "sum", trivial=len(quotes) == 2)
        if draw < 0.5:
            return ask.glance("typed_price", one.text, one.row, "price", item=one.name)
        if draw < 0.65:
            high = rng.random() < 0.5
            best = (max if high else min)(q.value for q in quotes)
            found = [q for q in quotes if q.value == best]
            working = extreme(rng, notation.bare, quotes, high=high, word="dearest" if high else "cheapest")
            return (
                ask.work("typed_dearest" if high else "typed_cheapest", found[0].name, working, "find", easy=True)
                if len(found) == 1
                else None
            )
        if draw < 0.73:
            return ask.glance("typed_count", str(len(quotes)), enumerate_names([q.name for q in quotes]), "count")
        return self._reformatted(quotes)

    def _reformatted(self, quotes: list[Quote]) -> Turn:
        kind, thought = self.rng.choice(("typed_json", "typed_markdown", "typed_bullets")), f"There are {len(quotes)} rows."
        if kind == "typed_json":
            return self.interview.glance(kind, as_json([Good(q.name, q.text) for q in quotes], quantities=False), thought, "item")
        if kind == "typed_markdown":
            head = self.rng.choice((("Item", "Price"), ("Name", "Price")))
            turn = self.interview.glance(kind, markdown(head, [(q.name, q.text) for q in quotes]), thought, "markdown")
            return replace(turn, question=joined(turn.question, f"The columns are {head[0]} and {head[1]}."))
        return self.interview.glance(kind, "\n".join(f"- {q.name} {q.text}" for q in quotes), thought, "text")

    # Typed sentences -------------------------------------------------------------------------------------------------

    def extract(self) -> Turn:
        """One value out of a sentence, sometimes in the middle of prose."""
        content, rng = self.content, self.rng
        notation = Notation(2, prefix="$")
        values = {"email": content.email(), "date": content.date(), "person": content.person(), "phone": content.phone()}
        values["amount"] = notation.full(content.cents())
        form = str(SENTENCES.pick(rng, content.split))
        if content.split != "test" and content.chance(0.7):
            form = content.one(MORE_SENTENCES)
        sentence = form.format(**values)
        key = rng.choice([name for name in values if f"{{{name}}}" in form])
        turn = self.interview.glance(f"extract_{key}", values[key], f"It says: {sentence}", "field")
        before = self.short_prose() if rng.random() < 0.3 else ""
        return self.onto(turn, f"{before} {sentence}".strip())

    def notes(self) -> Turn | None:
        """A question about one to four facts, in lines or in running text."""
        content, rng = self.content, self.rng
        try:
            needles = draw_needles(content, rng.choice((1, 2, 3, 3, 4)))
            lines = [needle.sentence for needle in needles]
            lines += [self.short_prose() for _ in range(rng.choice((0, 0, 1, 2)))]
            rng.shuffle(lines)
            text = (" " if rng.random() < 0.5 and all(map(is_closed, lines)) else "\n").join(lines)
            facts = NeedleTurns(content, Inquiry(rng, text, split=content.split), needles)
        except Overfull:
            return None
        makers = [facts.value, facts.value, facts.value, facts.owner, facts.confirm, facts.quote, facts.listing, facts.absent]
        turn = rng.choice(makers)()
        return None if turn is None or CRUDE.search(text) else self.onto(turn, text)

    def copies(self) -> Turn | None:
        """A quotation out of one paragraph or two."""
        text = "\n".join([self.content.prose() for _ in range(self.rng.choice((1, 1, 2)))])
        if len(text) > 500 or CRUDE.search(text):
            return None
        makers = CopyTurns(self.content, Inquiry(self.rng, text, split=self.content.split)).makers()
        turn = self.rng.choices([maker for maker, _ in makers], [weight for _, weight in makers])[0]()
        return turn and self.onto(turn, text)

    def short_prose(self) -> str:
        """One sentence without digits or signs that an answer could be taken from."""
        for _ in range(20):
            text = SENTENCE_END.split(self.content.prose())[0]
            if 15 < len(text) < 120 and text[-1] in ".!?" and not re.search(r"[\d@$]", text) and not CRUDE.search(text):
                return text
        return "The shop is closed today."

    def iso_date(self) -> Turn | None:
        text = self.content.date()
        day = dated(text)
        if day is None or day.isoformat() == text:
            return None
        thought = f"Year {day.year}, month {day.month}, day {day.day}."
        return self.interview.glance("iso_date", day.isoformat(), thought, "text", date=text)

    def long_date(self) -> Turn | None:
        text = self.content.date()
        day = dated(text)
        if day is None or any(month[:3].casefold() in text.casefold() for month in MONTHS):
            return None
        answer = f"{day.day} {MONTHS[day.month - 1]} {day.year}"
        return self.interview.glance("long_date", answer, f"Month {day.month} is {MONTHS[day.month - 1]}.", "text", date=text)

    def sort_numbers(self) -> Turn:
        """Three to five different numbers."""
        rng = self.rng
        notation = Notation(rng.choice((0, 0, 2)))
        values = rng.sample(range(1, rng.choice((30, 100, 1000, 5000))), rng.choice((3, 3, 3, 4, 5)))
        up = rng.random() < 0.5
        ordered = [notation.bare(v) for v in sorted(values, reverse=not up)]
        said = ", ".join([notation.bare(v) for v in values])
        return self.interview.glance(
            "sort_up" if up else "sort_down", ", ".join(ordered), (" < " if up else " > ").join(ordered), "text", numbers=said
        )

    def lower_words(self, count: int) -> list[str]:
        found = [self.content.word().lower() for _ in range(count * 3)]
        return list(dict.fromkeys([word for word in found if word.isalpha() and len(word) > 2 and not CRUDE.search(word)]))[:count]

    def sort_words(self) -> Turn | None:
        words = self.lower_words(self.rng.randint(3, 5))
        if len(words) < 3:
            return None
        ordered = sorted(words)
        thought = f"The first letters are {listed(sorted(word[0] for word in words))}."
        return self.interview.glance("sort_words", ", ".join(ordered), thought, "text", words=", ".join(words))

    def count_words(self) -> Turn | None:
        text = self.short_prose()
        words = text.split(" ")
        if not 3 <= len(words) <= 14 or not all(any(c.isalpha() for c in word) for word in words):
            return None
        turn = self.interview.work("count_words", str(len(words)), enumerate_names(words), "count", trivial=True)
        return self.onto(turn, text)

    def count_letters(self) -> Turn | None:
        words = self.lower_words(1)
        if not words:
            return None
        return self.interview.work("count_letters", str(len(words[0])), enumerate_names(words[0]), "count", trivial=True, word=words[0])

    def spell(self) -> Turn | None:
        words = self.lower_words(1)
        if not words:
            return None
        return self.interview.glance("spell", "-".join(words[0]), f"It has {len(words[0])} letters.", "text", word=words[0])

    def recase(self) -> Turn:
        text, upper = self.short_prose(), self.rng.random() < 0.6
        turn = self.interview.glance(
            "upper" if upper else "lower", text.upper() if upper else text.lower(), "Only the case changes.", "text"
        )
        return self.onto(turn, text)

    def repeat(self) -> Turn:
        text = self.rng.choice(
            (self.short_prose, self.content.code, self.content.phone, lambda: " ".join(self.lower_words(4) or ["yes"]))
        )()
        return self.onto(self.interview.glance("repeat", text, "I say the same.", "text"), text)

    def end_word(self) -> Turn:
        """The first or the last word of a sentence."""
        text, first = self.short_prose(), self.rng.random() < 0.5
        word = text.split(" ")[0 if first else -1].strip(".,;:!?()\"'")
        turn = self.interview.glance("first_word" if first else "last_word", word, f"The sentence is: {text}", "find")
        return self.onto(turn, text)

    # Prose -----------------------------------------------------------------------------------------------------------

    def continuation(self) -> Turn | None:
        """The next sentence or two of a paragraph: a little language modelling, without thinking."""
        parts = SENTENCE_END.split(self.content.prose())
        if len(parts) < 2:
            return None
        k = self.rng.randrange(1, len(parts))
        answer = " ".join(parts[k : k + self.rng.randint(1, 2)])
        if len(answer) > 300 or CRUDE.search(answer):
            return None
        question = self.interview.ask("continue")
        mode = self.rng.choice(("auto", "auto", "off"))
        return Turn(f"{question}\n{' '.join(parts[:k])}", answer, None, mode, "continue")

    # Talk ------------------------------------------------------------------------------------------------------------

    def polite(self) -> Turn:
        key = self.rng.choice(("hello", "hello", "how_are_you", "thanks", "bye"))
        return self.interview.glance(key, self.rng.choice(TALK[key]), "I am greeted." if key == "hello" else "I answer politely.", "other")

    def itself(self) -> Turn:
        key = self.rng.choice(("who", "who", "who", "made", "made", "can", "can", "trained"))
        return self.interview.glance(key, self.rng.choice(TALK[key]), "This is a question about me.", "other")

    def unknown(self) -> Turn:
        """A question about the world."""
        rng, split = self.rng, self.content.split
        drawn = {"country": COUNTRIES, "work": WORKS, "element": ELEMENTS, "topic": TOPICS}
        slots = {name: str(choice.pick(rng, split)) for name, choice in drawn.items()}
        thought = "This is not written here."
        return self.interview.glance("knowledge", LIMIT, thought, "refuse", **slots, person=self.content.person())

    def unseen(self) -> Turn:
        """A question about a picture that nobody sent."""
        thought = "No image was sent."
        return self.interview.glance("picture", NO_IMAGE, thought, "refuse", n=str(self.rng.randint(1, 9)))


def dialogue(content: Content, severity: float) -> Scene:
    """One to four turns of typing; every seventh conversation is prose to be continued. `severity` is for pictures and not used."""
    rng = content.rng
    talk = Dialogue(content)
    count = rng.choice((1, 1, 2, 2, 3, 4))
    if rng.random() < 0.15:
        turns = talk.interview.draw(min(count, 2), [(talk.continuation, 1)])
        if turns:
            return Scene([], turns, "")
    makers: list[tuple[Maker, int]] = []
    for group, weight in ((talk.calculations(), 38), (talk.typing(), 36), (talk.talk(), 14)):
        total = sum(share for _, share in group)
        makers += [(maker, round(1000 * weight * share / total)) for maker, share in group]
    return Scene([], talk.interview.draw(count, makers), "")
