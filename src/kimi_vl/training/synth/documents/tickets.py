"""Small papers made of particulars: tickets, passes, cards, labels, tags, certificates, slips to fill in.

Pieces marked as held out appear in split "test" only.
"""

from typing import NamedTuple

from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents.bands import STYLES, Line, set_fields, set_lines
from kimi_vl.training.synth.documents.ornaments import barcode, logo, matrix, scribble
from kimi_vl.training.synth.documents.papers import BARS, Composer, ask_paper, distinct
from kimi_vl.training.synth.documents.particulars import KINDS, OPTIONS, Particular, draw_particulars
from kimi_vl.training.synth.documents.sheets import pick
from kimi_vl.training.synth.questions import Draft

HIGHEST = 616
REMARKS = Choice(
    (
        "Please keep this ticket.",
        "Not transferable.",
        "No refund.",
        "Have a pleasant journey.",
        "Admit one",
        "Please arrive early.",
        "Handle with care",
        "This side up",
        "Fragile",
        "Valid with photo ID only.",
        "Keep visible at all times.",
        "Thank you for travelling with us.",
        "Please return if found.",
        "Subject to our terms.",
        "Lost tickets are not replaced.",
        "Enjoy the show!",
        "Scan at the gate.",
        "Made with care.",
    ),
    ("Do not bend.", "Show on demand.", "Keep dry."),
)


class Recipe(NamedTuple):
    """Titles, the particulars that make the paper what it is, others that it may have, and its shape (width, height / width)."""

    titles: Choice
    core: tuple[str, ...]
    more: tuple[str, ...]
    widths: tuple[int, ...]


def _titles(seen: str, held_out: str) -> Choice:
    return Choice(tuple(seen.split("|")), tuple(held_out.split("|")))


RECIPES: dict[str, Recipe] = {
    "train": Recipe(
        _titles("Train ticket|Ticket|Rail ticket|TICKET|Single ticket|Return ticket|Day ticket|Travel pass", "Rail pass|Season card"),
        ("from", "to", "date", "departs"),
        ("arrives", "train", "coach", "seat", "platform", "class", "passenger", "fare", "booking", "ticket no"),
        (392, 448, 504),
    ),
    "flight": Recipe(
        _titles("Boarding pass|BOARDING PASS|Boarding card|Boarding Pass|e-Ticket", "Flight coupon"),
        ("passenger", "from", "to", "flight", "seat"),
        ("gate", "boards", "date", "class", "departs", "booking", "ticket no", "row"),
        (448, 504, 560),
    ),
    "event": Recipe(
        _titles("Ticket|Concert|Admission|Entry ticket|Festival|Theatre|E-Ticket|Event ticket", "Entrance card|Gala"),
        ("date", "begins", "seat"),
        ("row", "area", "hall", "doors", "venue", "fare", "ticket no", "name", "gate"),
        (336, 392, 448),
    ),
    "cinema": Recipe(
        _titles("Cinema|Movie ticket|Cinema ticket|CINEMA|Film ticket", "Picture house"),
        ("hall", "seat", "date", "time"),
        ("row", "fare", "ticket no", "stay"),
        (280, 336, 392),
    ),
    "parking": Recipe(
        _titles("Parking|Parking ticket|PARKING|Car park|Pay and display|Parking permit", "Garage|Park and ride"),
        ("date", "entered"),
        ("left", "stay", "plate", "fare", "space", "ticket no"),
        (252, 308, 364),
    ),
    "identity": Recipe(
        _titles(
            "Identity card|ID card|Student card|Employee pass|Driving licence|Library card|Staff card|Visitor", "Residence permit|Passport"
        ),
        ("name", "id no"),
        ("birth", "nationality", "sex", "height", "valid", "date", "department", "job", "street"),
        (392, 420, 448),
    ),
    "member": Recipe(
        _titles("Membership card|Member card|Loyalty card|Club card|Bonus card|Sports club", "Guild card"),
        ("name", "id no"),
        ("valid", "date", "status", "class"),
        (336, 392, 448),
    ),
    "business": Recipe(_titles("", "Esq."), ("phone", "email"), ("web", "street", "town"), (336, 392, 420)),
    "shipping": Recipe(
        _titles("Shipping label|Parcel|PRIORITY|Express|STANDARD|Mail|Delivery label|Air mail", "Registered|Small packet"),
        ("recipient", "sender"),
        ("tracking", "weight", "ship date", "packages", "carrier", "reference", "order no"),
        (308, 364, 420, 448),
    ),
    "price": Recipe(
        _titles("SALE|Special offer|New|Offer of the week|Price|Reduced|Bargain|Top price", "Clearance|Last chance"),
        ("product", "price"),
        ("old price", "sku", "size", "valid", "quantity"),
        (224, 280, 336, 392),
    ),
    "certificate": Recipe(
        _titles(
            "Certificate|CERTIFICATE|Certificate of completion|Diploma|Award|Certificate of attendance|Course record",
            "Testimonial|Letters patent",
        ),
        ("name", "course", "date"),
        ("grade", "stay", "clerk", "reference"),
        (448, 504, 560),
    ),
    "booking": Recipe(
        _titles("Booking|Reservation|Hotel booking|Booking confirmation|Your stay|Reservation details|Itinerary", "Lodging|Stay slip"),
        ("name", "check in", "check out"),
        ("room", "guests", "booking", "total", "status", "phone", "street"),
        (392, 448, 504),
    ),
    "patient": Recipe(
        _titles("Appointment|Appointment card|Prescription|Patient record|Clinic|Health card|Patient card", "Sick note|Referral"),
        ("name", "doctor", "date"),
        ("time", "birth", "department", "room", "phone", "id no"),
        (336, 392, 448),
    ),
    "sheet": Recipe(
        _titles(
            "Registration form|Application|Personal details|Contact form|Data sheet|Order form|Entry form|Claim form|Work order",
            "Questionnaire|Sign-up",
        ),
        ("name", "date"),
        (
            *OPTIONS,
            *OPTIONS,
            *(
                "street",
                "town",
                "phone",
                "email",
                "birth",
                "nationality",
                "customer no",
                "job",
                "department",
                "status",
                "subject",
                "period",
                "web",
            ),
            "quantity",
            "product",
        ),
        (448, 504, 560),
    ),
    "product": Recipe(
        _titles("Product details|Specification|Item card|Stock card|Inventory|Part label|Article", "Bin card|Ware label"),
        ("product", "sku"),
        ("size", "weight", "quantity", "price", "status", "valid", "space"),
        (308, 364, 420),
    ),
}
SHARES = {
    "train": 10,
    "flight": 10,
    "event": 8,
    "cinema": 5,
    "parking": 7,
    "identity": 9,
    "member": 4,
    "business": 6,
    "shipping": 9,
    "price": 7,
    "certificate": 5,
    "booking": 7,
    "patient": 5,
    "sheet": 12,
    "product": 6,
}


def draw_ticket(content: Content, kind: str) -> Composer:
    """A small paper of one kind. Raises Overfull."""
    rng, recipe = content.rng, RECIPES[kind]
    paper = Composer(content, rng.choice(recipe.widths), HIGHEST, (12, 19), 0.6)
    chosen = draw_particulars(
        paper.habits, [*recipe.core, *dict.fromkeys(rng.sample(recipe.more, rng.randint(0, min(len(recipe.more), 6))))]
    )
    chosen = distinct(chosen)
    if content.chance(0.4):
        rng.shuffle(chosen)
    if kind == "business":
        _visiting_head(paper)
    else:
        _head(paper, pick(content, recipe.titles))
    paper.gap(0.2, 1.0)
    if content.chance(0.25) and len(chosen) > 2:
        _prominent(paper, chosen)
    while chosen:
        part = chosen[: rng.choice((len(chosen), len(chosen), rng.randint(2, 5)))]
        chosen = chosen[len(part) :]
        _block(paper, part)
        paper.gap(0.2, 0.9)
        if chosen and content.chance(0.25):
            paper.rule()
    _foot(paper)
    if content.chance(0.3):
        paper.canvas.frame(2, 2, paper.canvas.width - 2, int(paper.y) + 8, paper.look.line, rng.randint(1, 3))
        paper.y += 8
    return paper


def _block(paper: Composer, part: list[Particular]) -> None:
    """Particulars in one of the styles; two columns of blocks where they are many."""
    content, style = paper.content, pick(paper.content, STYLES)
    if any(p.kind in OPTIONS for p in part) and content.chance(0.8):
        paper.band(set_fields(content, part, "ticks"))
        return
    columns = paper.rng.choice((2, 2, 3, 4))
    if len(part) > 3 and content.chance(0.15):
        middle = len(part) // 2
        paper.band(*[set_fields(content, half, content.one(("inline", "aligned", "stack"))) for half in (part[:middle], part[middle:])])
        return
    paper.band(set_fields(content, part, style, min(columns, len(part)) if style == "table" else columns))


def _prominent(paper: Composer, chosen: list[Particular]) -> None:
    """One particular without its label, in big letters: "York - Leeds" or the price."""
    content = paper.content
    routes = {p.kind: p for p in chosen}
    if "from" in routes and "to" in routes:
        text = content.one(("{} - {}", "{} > {}", "{} to {}", "{} -> {}")).format(routes["from"].value, routes["to"].value)
        gone: tuple[str, ...] = ("from", "to")
    else:
        found = next((p for p in chosen if p.kind in ("price", "name", "product", "seat", "fare", "course")), None)
        if found is None:
            return
        text, gone = found.value, (found.kind,)
    paper.band(set_lines(content, [Line(text, "big")], content.one(("left", "center", "left"))))
    paper.paper.unlabelled.update(gone)
    chosen[:] = [p for p in chosen if p.kind not in gone]
    paper.gap(0.1, 0.5)


def _visiting_head(paper: Composer) -> None:
    """Name, occupation and company of a visiting card."""
    content = paper.content
    person, company = content.person(), content.company()
    job = KINDS["job"].make(paper.habits)
    lines = [
        Line(person, content.one(("big", "bold"))),
        Line(job, content.one(("plain", "small"))),
        Line(company, content.one(("plain", "bold"))),
    ]
    if content.chance(0.4):
        lines.insert(0, lines.pop())
    paper.band(set_lines(content, lines, content.one(("left", "left", "center"))))
    paper.note("shop", company)
    paper.paper.unlabelled.update(("name", "job"))


def _head(paper: Composer, title: str) -> None:
    """Title and issuer, in any order, on a bar or in columns, perhaps with a mark."""
    content, draw = paper.content, paper.rng.random()
    issuer = content.company() if content.chance(0.6) else ""
    if content.chance(0.3):
        issuer = issuer.upper()
    if draw < 0.15:
        size = paper.rng.randint(18, 40)
        logo(content, paper.canvas, paper.rng.choice((paper.left + size, paper.canvas.width // 2)), int(paper.y), size, paper.look.ink)
        paper.y += size + 5
    what = Line(title, content.one(("big", "big", "bold")))
    if draw < 0.4:
        if draw >= 0.15 and content.chance(0.3):
            paper.y = 0.0
        paper.bar(title, content.one(("bold", "big")))
        if issuer:
            paper.band(set_lines(content, [Line(issuer)]))
    elif draw < 0.6 and issuer:
        blocks = [
            set_lines(content, [Line(issuer, content.one(("bold", "plain")))]),
            set_lines(content, [what], content.one(("left", "right"))),
        ]
        if content.chance(0.4):
            blocks.reverse()
        paper.band(*blocks)
    else:
        lines = [what, *([Line(issuer, content.one(("plain", "bold", "small")))] if issuer else [])]
        if content.chance(0.4):
            lines.reverse()
        paper.band(set_lines(content, lines, content.one(("left", "center", "left"))))
    paper.note("title", title)
    if issuer:
        paper.note("shop", issuer)


def _foot(paper: Composer) -> None:
    content, canvas, y = paper.content, paper.canvas, int(paper.y)
    draw = paper.rng.random()
    if content.chance(0.1):
        paper.bar(pick(content, BARS))
        y = int(paper.y)
    if draw < 0.2:
        high = paper.rng.randint(24, 48)
        barcode(content, canvas, (paper.left, y, min(paper.right, paper.left + paper.rng.randint(120, 260)), y + high), paper.look.ink)
        paper.y += high + 6
        if content.chance(0.5):
            paper.band(set_lines(content, [Line(content.number(paper.rng.randint(8, 13)), "small")]))
    elif draw < 0.32:
        paper.y += matrix(content, canvas, (paper.left if content.chance(0.5) else paper.right - 70, y), paper.look.ink) + 6
    elif draw < 0.4:
        scribble(content, canvas, (paper.left, y), paper.look.ink)
        paper.y += 34
        paper.band(set_lines(content, [Line(content.one(("Signature", "Holder's signature", "Signed")), "small")]))
    text = pick(content, REMARKS)
    if content.chance(0.4) and paper.look.fonts.plain.width(text) < paper.right - paper.left:
        paper.band(set_lines(content, [Line(text, content.one(("small", "plain")))], content.one(("left", "center"))))


def ticket(content: Content) -> Draft:
    """A small paper of particulars, 224 to 560 pixels wide and at most 616 high, and three to six turns about it. Raises Overfull."""
    kind = content.rng.choices(list(SHARES), list(SHARES.values()))[0]
    composer = draw_ticket(content, kind)
    return composer.draft(lambda interview, found: ask_paper(content, interview, found))
