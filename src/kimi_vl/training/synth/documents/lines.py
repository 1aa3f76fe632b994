"""One to five lines of text: where reading begins."""

from string import capwords

from kimi_vl.training.synth.canvas import Canvas, Font
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.questions import Draft, Interview
from kimi_vl.training.synth.scene import Overfull, Turn

WIDEST = 448
LABELS = ("Total", "Sum", "Price", "Amount", "Tax", "Balance", "Cash", "Change", "Subtotal", "Date", "No.", "Page", "Tel", "Qty", "Due")


def snippet(content: Content, words: int) -> str:
    """A line's worth of something: prose, random words, a price, a code, a date, a name, or mere characters."""
    draw = content.rng.random()
    if draw < 0.34:
        return content.fragment(words)
    if draw < 0.56:
        return recased(content, content.words(words))
    if draw < 0.64:
        money = content.money()
        return f"{recased(content, content.product())} {money.full(content.cents())}"
    if draw < 0.71:
        money = content.money()
        return f"{recased(content, content.one(LABELS))}{content.one((' ', ': ', ' '))}{money.full(content.cents())}"
    if draw < 0.76:
        return content.one((content.date(), f"{content.date()} {content.time()}", f"Date: {content.date()}"))
    if draw < 0.81:
        return content.one((content.code(), f"{content.code()} {content.code()}", f"No. {content.code()}"))
    if draw < 0.86:
        return recased(content, content.name())
    if draw < 0.91:
        return content.one((content.phone, content.email, content.site, content.street, content.place))()
    if draw < 0.95:
        return " ".join([content.number(content.rng.randint(1, 6)) for _ in range(content.rng.randint(1, 4))])
    return characters(content, content.rng.randint(4, 16))


def characters(content: Content, n: int) -> str:
    """Random printable signs with spaces between groups, so that rare ones are seen too."""
    drawn = "".join([chr(content.rng.randint(33, 126)) + (" " if content.chance(0.15) else "") for _ in range(n)])
    return drawn.strip()


def recased(content: Content, text: str) -> str:
    draw = content.rng.random()
    if draw < 0.45:
        return text
    if draw < 0.65:
        return text.upper()
    if draw < 0.8:
        return text.lower()
    return capwords(text)


def fitted(text: str, font: Font, width: int, tracking: int = 0) -> str:
    """As many leading words of `text` as fit into `width` pixels, at least one; a single long word is cut."""
    room, space = width, font.width(" ", tracking)
    kept = []
    for word in text.split(" "):
        room -= font.width(word, tracking)
        if room < 0:
            break
        kept.append(word)
        room -= space
    if kept:
        return " ".join(kept)
    word = text.split(" ")[0]
    while len(word) > 1 and font.width(word, tracking) > width:
        word = word[:-1]
    return word


def line(content: Content) -> Draft:
    """One line on a strip of at most 448x56."""
    rng = content.rng
    font = content.font(content.face(), 12, 34)
    if font.ascent + font.descent > 50:
        raise Overfull(f"{font.face.family} at {font.size} is too tall for a line")
    tracking = rng.choice((0, 0, 0, 0, 0, 0, 1, 2))
    text = fitted(snippet(content, rng.randint(1, 9)), font, WIDEST - 16, tracking)
    least = font.ascent + font.descent + 2
    height = rng.randint(max(28, least), 56) if content.chance(0.25) else 28 if least <= 28 else 56
    width = content.snapped(min(WIDEST, max(28, font.width(text, tracking) + rng.randint(8, 50))), WIDEST)
    paper, ink = content.colours()
    canvas = Canvas(width, height, paper)
    x = rng.randint(3, max(3, width - font.width(text, tracking) - 3))
    baseline = rng.randint(font.ascent + 1, height - font.descent - 1)
    canvas.write(x, baseline, text, font, ink, tracking=tracking)
    if rng.random() < 0.06:
        y = baseline + font.descent
        canvas.fill(x, y, x + font.width(text, tracking), y + 1, ink)
    return Draft(canvas, height, font.x_height, lambda interview: [interview.read(text)])


def lines(content: Content) -> Draft:
    """Two to five separate lines, on at most 448x168."""
    rng = content.rng
    count = rng.randint(2, 5)
    face = content.face()
    font = content.font(face, 12, 30 if count < 4 else 22)
    pitch = int((font.ascent + font.descent) * rng.uniform(1.08, 1.5)) + 1
    top = rng.randint(3, 14)
    height = content.snapped(max(56, top + pitch * count + rng.randint(0, 8)), 168)
    if height > 168:
        raise Overfull(f"{count} lines take {height} pixels")
    paper, ink = content.colours()
    texts = [fitted(snippet(content, rng.randint(1, 8)), font, WIDEST - 16) for _ in range(count)]
    widest = max(font.width(t) for t in texts)
    width = content.snapped(min(WIDEST, widest + rng.randint(8, 60)), WIDEST)
    canvas = Canvas(width, height, paper)
    align = rng.choice(("left", "left", "left", "center", "right"))
    left = rng.randint(3, max(3, width - widest - 4))
    for k, text in enumerate(texts):
        slack = widest - font.width(text)
        x = left + {"left": 0, "center": slack // 2, "right": slack}[align]
        canvas.write(x, top + pitch * k + font.ascent, text, font, ink)
    return Draft(canvas, height, font.x_height, lambda interview: line_turns(interview, texts, content))


FIELD_SIGNS: dict[str, tuple[str, ...]] = {
    "total": ("total", "sum", "amount", "due", "balance", "price", "pay", "$"),
    "phone": tuple("0123456789"),
    "date": tuple("0123456789"),
    "time": (":", "o'clock", "hour", "time"),
    "tax": ("tax", "vat", "gst"),
    "cashier": ("cashier", "clerk", "serve"),
    "change": ("change", "$"),
    "payment": ("cash", "card", "pay", "paid", "visa"),
    "discount": ("discount", "coupon", "off", "save"),
}
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def line_turns(interview: Interview, rows: list[str], content: Content) -> list[Turn]:
    """Read all, read one, find one, count: for text in rows."""
    turns = [interview.read("\n".join(rows))]
    rng = content.rng
    k = rng.randrange(len(rows))
    makers = [
        lambda: interview.read(rows[k], "kth", "line", k=str(k + 1), nth=ORDINALS[k]),
        lambda: interview.read(rows[0], "first", "line"),
        lambda: interview.read(rows[-1], "last", "line"),
        lambda: count_turn(interview, rows),
        lambda: containing_turn(interview, rows, content) or interview.foreign(),
        lambda: place_turn(interview, rows, content) or mention_turn(interview, rows, content),
        lambda: mention_turn(interview, rows, content),
        lambda: content.one((absent_word_turn, absent_field_turn))(interview, content) or interview.foreign(),
    ]
    if k >= len(ORDINALS):
        del makers[0]
    picked = rng.sample(makers, rng.randint(1, 3))
    return turns + [make() for make in picked]


def absent_field_turn(interview: Interview, content: Content) -> Turn | None:
    """A receipt's field asked of something else, when neither a word nor a digit could be mistaken for it."""
    key = content.one(list(FIELD_SIGNS))
    if not all(interview.lacks(sign) for sign in FIELD_SIGNS[key]):
        return None
    return interview.refuse(key, f"There is no {key} in it.")


def count_turn(interview: Interview, rows: list[str]) -> Turn:
    trace = "\n".join(f"{k}. {row.split(' ')[0]}" for k, row in enumerate(rows, 1))
    return interview.work("count_lines", str(len(rows)), trace, "count", trivial=True)


def containing_turn(interview: Interview, rows: list[str], content: Content) -> Turn | None:
    """The line with a given word."""
    found = unique_word(rows, content)
    if found is None or found[0] == rows[found[1]]:
        return None
    row = rows[found[1]]
    return interview.lookup("containing", row, row, "line", word=found[0])


def place_turn(interview: Interview, rows: list[str], content: Content) -> Turn | None:
    """The number of the line with a given word."""
    found = unique_word(rows, content)
    if found is None or len(rows) < 2:
        return None
    word, k = found
    return interview.glance("line_number", str(k + 1), f"Line {k + 1} says {rows[k]}", "find", word=word)


def mention_turn(interview: Interview, rows: list[str], content: Content) -> Turn:
    """Whether a word occurs."""
    found = unique_word(rows, content) if content.chance(0.5) else None
    word = found[0] if found else content.word()
    row = next((row for row in rows if word.casefold() in row.casefold()), None)
    trace = f'No line contains "{word}".' if row is None else f"It says: {row}"
    return interview.glance("mentions", "No." if row is None else "Yes.", trace, "find", word=word)


def unique_word(rows: list[str], content: Content) -> tuple[str, int] | None:
    """A word of more than three letters or digits that one row alone has, and that row's index."""
    for _ in range(6):
        k = content.rng.randrange(len(rows))
        word = content.one(rows[k].split(" "))
        if len(word) > 3 and word.isalnum() and sum(word.casefold() in row.casefold() for row in rows) == 1:
            return word, k
    return None


def absent_word_turn(interview: Interview, content: Content) -> Turn | None:
    """A line with a word that stands nowhere."""
    word = content.word()
    if not interview.lacks(word):
        return None
    return interview.refuse("containing", f'No line contains "{word}".', word=word)
