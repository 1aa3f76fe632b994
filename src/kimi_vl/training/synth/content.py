"""What is printed: words, sentences, prices, dates, codes and names, drawn from one split of a data pack."""

import random
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, TypeVar

from kimi_vl.training.synth.canvas import ASCII, Colour, Font, is_complete, open_font, x_height_ratio
from kimi_vl.training.synth.pack import DataPack, Face

T = TypeVar("T")
MIN_X_HEIGHT = 7.0  # pixels after augmentation; below it a 14-pixel patch holds more than reading can resolve
LADDERS = ((12, 14, 16, 18, 20, 22, 27, 34, 48), (13, 15, 17, 20, 24, 30, 40))  # few sizes, so that rasterised glyphs are met again
MONTHS = ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
STREET_WORDS = frozenset("Park Hill Drive Road Square Gate Crescent Way Row Street Terrace Lane Avenue Boulevard Court Place Close".split())
COMPANY_WORDS = frozenset(
    "Stationers Brothers Ltd Farms Services Dental Holdings Electric Energy Design Trading Sons Hardware Printing Logistics Co Media "
    "Insurance Travel Motors Gardens Bakery Tools Supply Press Group Systems GmbH Consulting Market Labs Books Software Hotel Bank "
    "Brewery Studio Cafe Clinic Inc Textiles Corp Roasters Daughters LLC Partners Pharmacy Foods".split()
)
KIND_WEIGHTS = {"sans": 34, "serif": 22, "mono": 12, "slab": 8, "condensed": 8, "receipt": 6, "display": 4, "hand": 3}


class Choice(NamedTuple):
    """Pieces of a layout grammar: `held_out` ones are printed in split "test" only, there every second time."""

    seen: tuple
    held_out: tuple = ()

    def pick(self, rng: random.Random, split: str) -> object:
        if split == "test" and self.held_out and rng.random() < 0.5:
            return rng.choice(self.held_out)
        return rng.choice(self.seen)


class Money(NamedTuple):
    """How amounts are printed; amounts are integer cents."""

    symbol: str = ""
    decimal: str = "."
    after: bool = False
    group: str = ""  # between thousands

    def bare(self, cents: int) -> str:
        whole, rest = divmod(abs(cents), 100)
        return f"{'-' if cents < 0 else ''}{whole:,}".replace(",", self.group) + f"{self.decimal}{rest:02d}"

    def full(self, cents: int) -> str:
        """With the currency sign, where the style has one."""
        if self.after and self.symbol:
            return f"{self.bare(cents)} {self.symbol}"
        return f"-{self.symbol}{self.bare(-cents)}" if cents < 0 else f"{self.symbol}{self.bare(cents)}"


@lru_cache(maxsize=16)
def _faces_by_kind(pack: DataPack, split: str) -> dict[str, list[Face]]:
    kinds: dict[str, list[Face]] = {}
    for face in pack.faces(split):
        kinds.setdefault(face.kind, []).append(face)
    return kinds


@lru_cache(maxsize=16)
def _names(pack: DataPack, split: str) -> tuple[list[str], list[str]]:
    """People and companies, told apart by the last word."""
    people, companies = [], []
    for name in pack.names(split):
        last = name.split(" ")[-1]
        if last in COMPANY_WORDS:
            companies.append(name)
        elif last not in STREET_WORDS and " " in name and name.replace(" ", "").replace(".", "").isalpha():
            people.append(name)
    return people or pack.names(split), companies or pack.names(split)


@lru_cache(maxsize=2048)
def _family(pack: DataPack, split: str, family: str) -> list[Face]:
    return [face for face in pack.faces(split) if face.family == family and is_complete(face)]


class Content:
    """A random source over one split of the pack. All text it returns is ASCII."""

    def __init__(self, rng: random.Random, pack: DataPack, split: str) -> None:
        self.rng, self.pack, self.split = rng, pack, split

    def one(self, items: Sequence[T]) -> T:
        return items[int(self.rng.random() * len(items))]

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def face(self, kinds: tuple[str, ...] = ()) -> Face:
        """A complete face; of one of `kinds`, where the split has any."""
        groups = _faces_by_kind(self.pack, self.split)
        usable = [k for k in (kinds or groups) if k in groups] or list(groups)
        for _ in range(50):
            kind = self.rng.choices(usable, [KIND_WEIGHTS.get(k, 2) for k in usable])[0]
            face = self.one(groups[kind])
            if is_complete(face):
                return face
        raise ValueError(f"hardly any face of split {self.split!r} covers printable ASCII; build the data pack again")

    def sibling(self, face: Face, *, bold: bool) -> Face:
        """A bolder (or the regular) upright style of the same family, or `face` itself."""
        family = [f for f in _family(self.pack, self.split, face.family) if not f.italic and (f.weight >= 600) == bold]
        return self.one(family) if family else face

    def font(self, face: Face, low: int, high: int) -> Font:
        """`face` at a size from low..high pixels, more if its x-height needs it."""
        return sized(face, self.rng.randint(low, high))

    # Text ------------------------------------------------------------------------------------------------------------

    def word(self) -> str:
        """From running text or from the dictionary, by turns: the latter has many words that nobody has ever seen."""
        if self.chance(0.5):
            found = "".join([c for c in self.one(self.prose().split(" ")) if c.isalpha()])
            if len(found) > 1:
                return found
        return plain(self.one(self.pack.words(self.split)))

    def term(self) -> str:
        """A word of 3 to 12 letters and no sign, in lower case: what anything may be called."""
        words = self.pack.words(self.split)
        for _ in range(12):
            word = self.one(words)
            if 3 <= len(word) <= 12 and word.isascii() and word.isalpha():
                return word.lower()
        return "thing"

    def label(self) -> str:
        """One or two terms as a head or label: "Marble", "Marble river", "Marble River"."""
        first, second = self.term().capitalize(), self.term()
        return self.one((first, first, f"{first} {second}", f"{first} {second.capitalize()}"))

    def proper(self) -> str:
        """A word as part of a name."""
        return self.word().replace("'", "").capitalize()

    def words(self, n: int) -> str:
        return " ".join([self.word() for _ in range(n)])

    def prose(self) -> str:
        """A paragraph."""
        return plain(self.one(self.pack.prose(self.split)))

    def fragment(self, n: int) -> str:
        """About n words out of running prose."""
        words = self.prose().split(" ")
        start = self.rng.randrange(max(1, len(words) - n + 1))
        return " ".join(words[start : start + n])

    def name(self) -> str:
        """Of a person, a company or a street."""
        return plain(self.one(self.pack.names(self.split)))

    def person(self) -> str:
        return plain(self.one(_names(self.pack, self.split)[0]))

    def company(self) -> str:
        return plain(self.one(_names(self.pack, self.split)[1]))

    def product(self) -> str:
        return plain(self.one(self.pack.products(self.split)))

    def number(self, digits: int) -> str:
        return "".join([self.one("0123456789") for _ in range(digits)])

    def letters(self, n: int) -> str:
        return "".join([self.one("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(n)])

    def code(self) -> str:
        """An identifier such as A7-4421 or 00931."""
        kind = self.rng.randrange(6)
        if kind == 0:
            return self.number(self.rng.randint(3, 9))
        if kind == 1:
            return f"{self.letters(self.rng.randint(1, 3))}{self.one('-/ ')}{self.number(self.rng.randint(3, 6))}"
        if kind == 2:
            return f"{self.number(4)}-{self.number(self.rng.randint(2, 5))}"
        if kind == 3:
            return f"{self.letters(2)}{self.number(self.rng.randint(3, 7))}"
        if kind == 4:
            return f"20{self.rng.randint(10, 29)}/{self.number(self.rng.randint(2, 5))}"
        return "".join([self.one("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789") for _ in range(self.rng.randint(5, 9))])

    def phone(self) -> str:
        n = self.number
        return self.one(
            (
                f"({n(3)}) {n(3)}-{n(4)}",
                f"{n(3)}-{n(3)}-{n(4)}",
                f"0{n(2)} {n(4)} {n(4)}",
                f"+{self.rng.randint(1, 98)} {n(3)} {n(3)} {n(3)}",
                f"0{n(3)}/{n(6)}",
                f"{n(3)} {n(4)}",
                f"{n(3)}.{n(3)}.{n(4)}",
            )
        )

    def date(self) -> str:
        y, m, d = self.rng.randint(1995, 2029), self.rng.randint(1, 12), self.rng.randint(1, 28)
        month = MONTHS[m - 1]
        kind = self.rng.randrange(12)
        if kind < 7:
            return (
                f"{y}-{m:02d}-{d:02d}",
                f"{d:02d}.{m:02d}.{y}",
                f"{d:02d}/{m:02d}/{y}",
                f"{m}/{d}/{y % 100:02d}",
                f"{m:02d}/{d:02d}/{y}",
                f"{d:02d}-{m:02d}-{y}",
                f"{d}.{m}.{y % 100:02d}",
            )[kind]
        return (
            f"{d} {month} {y}",
            f"{month} {d}, {y}",
            f"{d:02d} {month[:3]} {y}",
            f"{month[:3]} {d}, {y}",
            f"{d:02d}-{month[:3].upper()}-{y % 100:02d}",
        )[kind - 7]

    def time(self) -> str:
        h, m, s = self.rng.randrange(24), self.rng.randrange(60), self.rng.randrange(60)
        return self.one((f"{h:02d}:{m:02d}", f"{h:02d}:{m:02d}", f"{h:02d}:{m:02d}:{s:02d}", f"{h % 12 or 12}:{m:02d} {'AP'[h > 11]}M"))

    def money(self) -> Money:
        symbol = self.one(("", "", "$", "$"))
        return self.one((Money(symbol), Money(symbol), Money(symbol, group=","), Money(symbol, decimal=",")))

    def cents(self) -> int:
        """A price in cents: mostly below 20.00, sometimes large, often ending in 9, 5 or 0."""
        scale = self.one((500, 1000, 2000, 2000, 5000, 20000))
        cents = self.rng.randint(20, scale)
        return max(5, cents - cents % 10 + self.one((9, 5, 0))) if self.chance(0.6) else cents

    def town(self) -> str:
        return self.proper() + self.one(("", "", "ton", "ville", " City", " Falls", "burg", "ford"))

    def street(self) -> str:
        kind = self.one(("Street", "St.", "Road", "Rd", "Avenue", "Ave", "Lane", "Square", "Drive"))
        return f"{self.rng.randint(1, 999)} {self.proper()} {kind}"

    def place(self) -> str:
        """A town with its post code."""
        return self.one(
            (
                f"{self.town()}, {self.letters(2)} {self.number(5)}",
                f"{self.number(5)} {self.town()}",
                f"{self.town()} {self.letters(2)}{self.number(1)} {self.number(1)}{self.letters(2)}",
                self.town(),
            )
        )

    def site(self) -> str:
        host = self.one((f"{self.word()}", f"{self.word()}-{self.word()}", f"www.{self.word()}"))
        return f"{host}.{self.one(('com', 'org', 'net', 'io', 'eu'))}".lower().replace("'", "")

    def email(self) -> str:
        return f"{self.word().lower()}@{self.word().lower()}.{self.one(('com', 'org', 'net'))}".replace("'", "")

    # Looks -----------------------------------------------------------------------------------------------------------

    def snapped(self, size: int, largest: int) -> int:
        """`size` pixels, three times out of four rounded up to whole cells of 28, the rest of which would be padding."""
        return size if self.chance(0.25) else min(largest, -(-size // 28) * 28)

    def colours(self, white: float = 0.55) -> tuple[Colour, Colour]:
        """Paper and ink whose luminance differs by at least a quarter of the range; `white` is the share of dark on white."""
        r = self.rng
        if r.random() < white:
            level = r.randint(232, 255)
            paper = (level, min(255, level + r.randint(-6, 3)), max(0, level - r.randint(0, 14)))
            return paper, (r.randint(0, 70),) * 3
        for _ in range(50):
            paper = (r.randrange(256), r.randrange(256), r.randrange(256))
            ink = (r.randrange(256), r.randrange(256), r.randrange(256))
            if luminance(paper) < luminance(ink) and r.random() < 0.65:
                paper, ink = ink, paper
            if abs(luminance(paper) - luminance(ink)) >= (100 if r.random() < 0.85 else 66):
                return paper, ink
        return (255, 255, 255), (0, 0, 0)


def luminance(colour: Colour) -> float:
    """0 to 255, Rec. 601 weights."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def sized(face: Face, size: float) -> Font:
    """The face at its next size, at least as large as it needs to be readable."""
    size = max(size, smallest(face))
    return open_font(face, next((s for s in ladder(face) if s >= size), int(size)))


def smaller(font: Font, share: float) -> Font | None:
    """The same face at `share` of the size or less; None where that could not be read."""
    sizes = [s for s in ladder(font.face) if smallest(font.face) <= s <= font.size * share and s < font.size]
    return open_font(font.face, sizes[-1]) if sizes else None


def ladder(face: Face) -> tuple[int, ...]:
    """The sizes in which a face is printed."""
    return LADDERS[len(face.family) // 2 % 2]


def smallest(face: Face, x_height: float = MIN_X_HEIGHT + 0.5) -> int:
    """The smallest size at which the face keeps this x-height (pixels)."""
    return int(-(-x_height // x_height_ratio(face)))


_PUNCTUATION = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "\t": " "})


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """ASCII with single spaces: accents dropped, typographic signs replaced."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKD", text.translate(_PUNCTUATION))
    return " ".join("".join([c for c in text if c == " " or c in ASCII]).split())


_PLURALS = {"glass": "glasses", "inbox": "inboxes", "mailbox": "mailboxes", "mass": "masses", "person": "people", "watchman": "watchmen"}


def plural(one: str) -> str:
    head, _, noun = one.rpartition(" ")
    many = _PLURALS.get(noun) or (
        f"{noun[:-1]}ies" if noun[-1] == "y" and noun[-2] not in "aeiou" else noun + ("es" if noun[-1] in "sx" else "s")
    )
    return f"{head} {many}".strip()
