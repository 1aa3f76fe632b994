"""Answers in a form that the question demands: dates as YYYY-MM-DD, amounts without their sign, years alone."""

import datetime
import random
import re

from kimi_vl.training.synth.content import MONTHS

DATE_FORMS = {  # strftime patterns and how they are demanded
    "%Y-%m-%d": "Give the date as YYYY-MM-DD.|Answer as YYYY-MM-DD.|Use the format YYYY-MM-DD.|Write it as YYYY-MM-DD.|"
    "In ISO format, please.|Answer with an ISO date.|Format: YYYY-MM-DD.|Please convert it to YYYY-MM-DD.",
    "%d.%m.%Y": "Give the date as DD.MM.YYYY.|Answer as DD.MM.YYYY.|Use the format DD.MM.YYYY.|Write it as DD.MM.YYYY.|Format: DD.MM.YYYY.",
    "%m/%d/%Y": "Give the date as MM/DD/YYYY.|Answer as MM/DD/YYYY.|Use the format MM/DD/YYYY.|Write it as MM/DD/YYYY.|Format: MM/DD/YYYY.",
    "%Y": "Give the year only.|Only the year, please.|Answer with the year.|Just the year.|I only need the year.",
}
NUMBER_ONLY = tuple(
    (
        "Answer with the number only.|Only the number, please.|Give just the number.|Number only.|Without the currency sign.|"
        "Answer with a bare number.|Just the figure.|Reply with the number alone."
    ).split("|")
)
_NUMERIC = re.compile(r"(\d{1,4})([./-])(\d{1,2})\2(\d{2,4})")
_DAY_FIRST = re.compile(r"(\d{1,2})[ -]([A-Za-z]{3,})[ -](\d{2,4})")
_MONTH_FIRST = re.compile(r"([A-Za-z]{3,}) (\d{1,2}), (\d{4})")
_NUMBERS_OF_MONTHS = {name[:3].casefold(): k for k, name in enumerate(MONTHS, 1)}


def dated(text: str) -> datetime.date | None:
    """The day that a printed date means; None where day and month could be taken for one another."""
    if found := _NUMERIC.fullmatch(text):
        first, mark, second, third = int(found[1]), found[2], int(found[3]), int(found[4])
        if len(found[1]) == 4:
            return datetime.date(first, second, third)
        year = third if third > 99 else third + (1900 if third >= 90 else 2000)
        if mark == "." or first > 12:
            return datetime.date(year, second, first)
        return datetime.date(year, first, second) if second > 12 else None
    if found := _DAY_FIRST.fullmatch(text):
        day, name, year = int(found[1]), found[2], int(found[3])
    elif found := _MONTH_FIRST.fullmatch(text):
        day, name, year = int(found[2]), found[1], int(found[3])
    else:
        return None
    month = _NUMBERS_OF_MONTHS.get(name[:3].casefold())
    year += 0 if year > 99 else 1900 if year >= 90 else 2000
    return datetime.date(year, month, day) if month else None


def demanded_date(rng: random.Random, text: str) -> tuple[str, str] | None:
    """A demand and the printed date in the demanded form; None for a date that is not clear."""
    day = dated(text)
    if day is None:
        return None
    form = rng.choice(("%Y-%m-%d", "%Y-%m-%d", *DATE_FORMS))
    return rng.choice(DATE_FORMS[form].split("|")), day.strftime(form)


def demanded_number(rng: random.Random, text: str) -> tuple[str, str] | None:
    """A demand and the printed amount without its currency sign; None for anything else."""
    found = re.fullmatch(r"(-?)([$€£]?)(\d[\d.,]*)(?: [$€£])?", text)
    if not found or (found[1] and found[2]):
        return None
    return rng.choice(NUMBER_ONLY), found[1] + found[3]
