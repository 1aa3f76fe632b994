"""How dates, times, amounts and identifiers are written, the same all over one document."""

from kimi_vl.training.synth.content import DAYS, MONTHS, Choice, Content, Money

DATE_FORMS = Choice(
    (
        "{y}-{m:02d}-{d:02d}",
        "{d:02d}.{m:02d}.{y}",
        "{d:02d}/{m:02d}/{y}",
        "{m:02d}/{d:02d}/{y}",
        "{d:02d}-{m:02d}-{y}",
        "{d}/{m}/{y}",
        "{m}/{d}/{y}",
        "{d:02d}/{m:02d}/{t:02d}",
        "{d:02d}.{m:02d}.{t:02d}",
        "{m}/{d}/{t:02d}",
        "{y}/{m:02d}/{d:02d}",
        "{d} {month} {y}",
        "{month} {d}, {y}",
        "{d:02d} {mon} {y}",
        "{mon} {d}, {y}",
        "{d} {mon} {t:02d}",
        "{d:02d}-{mon}-{y}",
        "{d:02d} {MON} {t:02d}",
        "{day} {d} {mon} {y}",
        "{weekday}, {d} {month} {y}",
        "{weekday}, {month} {d}, {y}",
        "{day}, {d:02d}.{m:02d}.{y}",
        "{mon} {d:02d} {y}",
        "{d}. {month} {y}",
        "{d}{th} {month} {y}",
        "{d}{th} {mon} {y}",
        "{mon} {d}{th}, {y}",
        "{month} {d} {y}",
        "{mon}. {d}, {y}",
        "{mon}-{d:02d}-{y}",
        "{MON} {d} {y}",
        "{y} {mon} {d:02d}",
        "{y}-{mon}-{d:02d}",
        "{y} {m:02d} {d:02d}",
        "{d:02d} {m:02d} {y}",
        "{d:02d} {m:02d} {t:02d}",
        "{d}.{m}.{y}",
        "{d}. {mon} {y}",
        "{day} {d:02d}.{m:02d}.{t:02d}",
        "{day} {d}/{m}/{y}",
        "{day} {m:02d}/{d:02d}/{y}",
        "{day}. {d} {month} {y}",
        "{weekday} {d:02d}.{m:02d}.{y}",
        "{weekday} {month} {d}, {y}",
        "{weekday} {y}-{m:02d}-{d:02d}",
        "{DAY} {d:02d} {MON} {y}",
    ),
    ("{y}.{m:02d}.{d:02d}", "{month} {d}{th} {y}", "{day} {m:02d}/{d:02d}/{t:02d}"),
)
TIME_FORMS = Choice(
    ("{h:02d}:{n:02d}", "{h:02d}:{n:02d}", "{h:02d}:{n:02d}:{s:02d}", "{k}:{n:02d} {AP}M", "{k}:{n:02d}{ap}m"), ("{h}.{n:02d}h",)
)
ENDINGS = {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd"}


def drawn_date(content: Content, form: str = "") -> str:
    """A day of 1995 to 2029 in the given form or any."""
    y, m, d = content.rng.randint(1995, 2029), content.rng.randint(1, 12), content.rng.randint(1, 28)
    weekday = content.one(DAYS)
    return (form or str(DATE_FORMS.pick(content.rng, content.split))).format(
        y=y,
        m=m,
        d=d,
        t=y % 100,
        month=MONTHS[m - 1],
        mon=MONTHS[m - 1][:3],
        MON=MONTHS[m - 1][:3].upper(),
        day=weekday[:3],
        DAY=weekday[:3].upper(),
        weekday=weekday,
        th=ENDINGS.get(d, "th"),
    )


def drawn_time(content: Content, form: str = "") -> str:
    """A time of day in the given form or any."""
    h, n, s = content.rng.randrange(24), content.rng.randrange(60), content.rng.randrange(60)
    ap = "ap"[h > 11]
    return (form or str(TIME_FORMS.pick(content.rng, content.split))).format(h=h, n=n, s=s, k=h % 12 or 12, ap=ap, AP=ap.upper())


class Habits:
    """What stays the same all over one document: how dates, times and amounts are written."""

    def __init__(self, content: Content, money: Money) -> None:
        self.content, self.money = content, money
        self.date_form = str(DATE_FORMS.pick(content.rng, content.split))
        self.time_form = str(TIME_FORMS.pick(content.rng, content.split))

    def date(self) -> str:
        return drawn_date(self.content, self.date_form)

    def time(self) -> str:
        return drawn_time(self.content, self.time_form)

    def amount(self) -> str:
        return self.money.full(self.content.cents() * self.content.one((1, 1, 10)))

    def digits(self, low: int, high: int) -> str:
        return self.content.number(self.content.rng.randint(low, high))

    def code(self) -> str:
        """An identifier, of the plain kinds or with several parts: INV-2024-0032, 4711/24, KD 100 233."""
        c, n = self.content, self.content.number
        if c.chance(0.5):
            return c.code()
        year = c.rng.randint(2010, 2029)
        return c.one(
            (
                f"{c.letters(c.rng.randint(2, 3))}-{year}-{n(c.rng.randint(2, 5))}",
                f"{n(c.rng.randint(2, 5))}/{year % 100:02d}",
                f"{c.letters(2)} {n(3)} {n(3)}",
                f"{year}{n(5)}",
                f"{c.letters(1)}{n(2)}-{n(4)}-{c.letters(1)}",
                f"{n(4)} {n(4)}",
                f"{c.letters(3)}{n(4)}/{n(1)}",
                f"{n(2)}.{n(3)}.{n(3)}",
                f"{c.letters(2)}_{n(5)}",
            )
        )
