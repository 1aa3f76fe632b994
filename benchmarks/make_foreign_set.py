"""Render the pinned foreign set, benchmarks/foreign: charts by matplotlib, tables and receipts by groff and poppler.

    python benchmarks/make_foreign_set.py benchmarks/foreign

It was run once; its output is committed. Nothing of the package's own renderer, fonts, word lists or wordings is used, and nothing here is
ever trained on. Needs matplotlib, and Debian's groff and poppler-utils.
"""

import argparse
import hashlib
import json
import random
import subprocess
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageOps

mpl.use("Agg")
import matplotlib.pyplot as plt

SEED = 471
CHARTS, TABLES, RECEIPTS = 48, 30, 36
STYLES = ("default", "classic", "ggplot", "bmh", "fivethirtyeight", "seaborn-v0_8-whitegrid", "Solarize_Light2", "grayscale")
PLACES = "Bergen Cork Delft Ghent Lund Porto Siena Turku Vaduz Zadar Brno Graz".split()
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
CROPS = "Barley Oats Rye Maize Hops Flax Beans Beets".split()
GROUPS = (("North shore", "South shore"), ("Day shift", "Night shift"), ("Adults", "Children"), ("Online", "Counter", "Phone"))
TITLES = (
    "Harvest by crop",
    "Rainy days",
    "Library loans",
    "Ferry passengers",
    "Bicycles counted",
    "Museum tickets",
    "Energy used",
    "Trees planted",
)
UNITS = ("tonnes", "days", "loans", "thousand", "bicycles", "tickets", "MWh", "trees")
GOODS = (
    "Paper clips|Desk lamp|Wall clock|Wool socks|Garden hose|Picture frame|Candle holder|Bread knife|Soup bowl|Tea strainer|Door mat|"
    "Salt mill|Hand towel|Shoe brush|Flower pot|Rain jacket|Map of Europe|Chess set|Yoga mat|Bike pump|Tin opener|Blue ink|Sketch pad|"
    "Alarm bell|Cork board|Coat hook"
).split("|")
SHOPS = ("Lindqvist & Daughter", "The Corner Ironmonger", "Atelier Moreau", "Pemberton Supplies", "Quayside General Store", "Haus und Hof")
PEOPLE = (
    "Priya Raman",
    "Olu Adeyemi",
    "Greta Holm",
    "Tomas Novak",
    "Mei Tanaka",
    "Ivo Petrov",
    "Sara Lindgren",
    "Paul Weiss",
    "Nora Quinn",
)
ROLES = ("Baker", "Welder", "Nurse", "Driver", "Painter", "Clerk", "Tailor", "Miller")


class Document(NamedTuple):
    picture: Image.Image
    family: str
    text: str
    questions: list[dict]


def ask(question: str, answer: str | None, task: str) -> dict:
    return {"question": question, "answer": answer, "task": task}


# Charts --------------------------------------------------------------------------------------------------------------------


def chart(rng: random.Random) -> Document:
    """A bar, line or pie chart of one to three series, in one of matplotlib's styles, and four or five questions."""
    kind = rng.choice(("bar", "bar", "bar", "barh", "grouped", "grouped", "line", "line", "lines", "pie"))
    title, unit = rng.choice(list(zip(TITLES, UNITS, strict=True)))
    if kind in ("line", "lines"):
        start, count = rng.randrange(6), rng.randint(4, 7)
        names = MONTHS[start : start + count]
    else:
        names = rng.sample(rng.choice((PLACES, CROPS)), rng.randint(3, 5 if kind == "grouped" else 6))
    series = rng.choice(GROUPS) if kind in ("grouped", "lines") else ("",)
    top = rng.choice((20, 60, 100, 400))
    values = [rng.sample(range(top // 10, top), len(names)) for _ in series]
    if kind == "pie":
        while min(values[0]) < 8 or sum(values[0]) != 100:  # thinner slices print their numbers over each other
            cuts = sorted(rng.sample(range(8, 93), len(names) - 1))
            values = [np.diff([0, *cuts, 100]).tolist()]
    with plt.style.context(rng.choice(STYLES[:-1] if kind == "pie" else STYLES)):  # in grayscale, one slice is as black as its number
        figure = draw(rng, kind, names, series, values, title, unit)
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    plt.close(figure)
    return Document(picture, "chart", "", chart_questions(rng, kind, names, series, values, title))


def draw(
    rng: random.Random, kind: str, names: list[str], series: tuple[str, ...], values: list[list[int]], title: str, unit: str
) -> plt.Figure:
    figure, axes = plt.subplots(figsize=(rng.choice((4.48, 5.04, 5.6)), rng.choice((3.36, 3.92))), dpi=100, layout="constrained")
    place = np.arange(len(names))
    labelled = kind == "barh" or rng.random() < 0.5
    if kind == "pie":
        axes.pie(values[0], labels=names, autopct="%d%%", startangle=rng.choice((0, 90)))
    for k, (name, row) in enumerate(zip(series, values, strict=True)):
        if kind in ("bar", "barh"):
            bars = (axes.bar if kind == "bar" else axes.barh)(names, row, color=f"C{rng.randrange(5)}")
            if labelled:
                axes.bar_label(bars)
        elif kind == "grouped":
            bars = axes.bar(place + (k - (len(series) - 1) / 2) * 0.8 / len(series), row, 0.8 / len(series), label=name)
            if labelled:
                axes.bar_label(bars, fontsize=8)
        elif kind in ("line", "lines"):
            axes.plot(names, row, marker=rng.choice("os^D"), label=name)
            if labelled and kind == "line":
                for x, y in enumerate(row):
                    axes.annotate(str(y), (x, y), xytext=(0, 6), textcoords="offset points", ha="center")
    if kind == "grouped":
        axes.set_xticks(place, names)
    if len(series) > 1:
        axes.legend(loc="upper center", ncols=len(series), fontsize=8)
    if kind not in ("pie", "barh"):
        axes.set_ylabel(unit)
        axes.set_ylim(0, (1.5 if len(series) > 1 else 1.2) * max(map(max, values)))  # room for a legend
        axes.yaxis.grid(visible=True)
    axes.set_title(title)
    return figure


def chart_questions(
    rng: random.Random, kind: str, names: list[str], series: tuple[str, ...], values: list[list[int]], title: str
) -> list[dict]:
    s, k = rng.randrange(len(series)), rng.randrange(len(names))
    row, of = values[s], f" of {series[s]}" if series[s] else ""
    unit = "%" if kind == "pie" else ""
    a, b = rng.sample(range(len(names)), 2)
    high = rng.random() < 0.5
    best = (max if high else min)(row)
    asked = [
        ask(f"What is the value{of} for {names[k]}?", f"{row[k]}{unit}", "cell"),
        ask("What is the title of the chart?", title, "title"),
    ]
    if sum(abs(value - best) <= 0.05 * max(row) for value in row) == 1:  # anybody can see it
        asked.append(ask(f"Where is the value{of} {'highest' if high else 'lowest'}?", names[row.index(best)], "find"))
    asked.append(ask(f"What is the sum of the values{of} for {names[a]} and {names[b]}?", f"{row[a] + row[b]}{unit}", "sum"))
    if len(series) > 1:
        asked.append(ask("How many series are there?", str(len(series)), "count"))
    absent = rng.choice([name for name in (*PLACES, *MONTHS, *CROPS) if name not in names])
    return [*asked, ask(f"What is the value{of} for {absent}?", None, "refuse")]


# Typeset -------------------------------------------------------------------------------------------------------------------


def typeset(body: str, font: str, width: float) -> Image.Image:
    """The first page of a groff -ms text with tbl, `width` inches of text, at 110 dots per inch, cut to what is printed."""
    source = f".nr LL {width}i\n.nr PO 0.4i\n.nr HM 0.4i\n.fam {font}\n.ds CH\n.nr PS 11\n.nr VS 14\n.LP\n{body}\n"
    pdf = subprocess.run(["groff", "-Tpdf", "-t", "-ms"], input=source.encode(), capture_output=True, check=True).stdout
    png = subprocess.run(["pdftoppm", "-r", "110", "-png", "-singlefile", "-"], input=pdf, capture_output=True, check=True).stdout
    path = Path("/dev/shm" if Path("/dev/shm").is_dir() else ".") / "foreign-page.png"
    path.write_bytes(png)
    with Image.open(path) as page:
        gray = page.convert("L")
    path.unlink()
    left, top, right, bottom = ImageOps.invert(gray).getbbox()
    margin = 18
    cut = gray.crop((left - margin, top - margin, right + margin, bottom + margin))
    return ImageOps.expand(cut, 0).convert("RGB")


def table(rng: random.Random) -> Document:
    """A table of three or four columns and four to eight rows, ruled or not, and five questions."""
    count = rng.randint(4, 8)
    people = rng.sample(PEOPLE, count)
    columns = {"Name": people}
    drawn = {
        "Role": [rng.choice(ROLES) for _ in people],
        "Age": [str(rng.randint(19, 64)) for _ in people],
        "Room": [str(number) for number in rng.sample(range(101, 340), count)],
        "Pay": [f"{rng.randint(1200, 4900):,}" for _ in people],
        "Start": [f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(2011, 2024)}" for _ in people],
    }
    heads = rng.sample(list(drawn), rng.randint(2, 3))
    columns |= {head: drawn[head] for head in heads}
    options = rng.choice(("allbox center;", "box center;", "center;"))
    layout = " ".join("lb" for _ in columns) + "\n" + " ".join("l" if head in ("Name", "Role", "Start") else "r" for head in columns) + "."
    rows = [list(columns), *[list(row) for row in zip(*columns.values(), strict=True)]]
    body = "\n".join([".TS", options, layout, *["\t".join(row) for row in rows], ".TE"])
    k, head = rng.randrange(count), rng.choice(heads)
    asked = [
        ask(f"What is the {head.lower()} of {people[k]}?", columns[head][k], "cell"),
        ask("How many people are listed?", str(count), "count"),
    ]
    unique = [(h, i) for h in heads for i in range(count) if columns[h].count(columns[h][i]) == 1]
    if unique:
        h, i = rng.choice(unique)
        asked.append(ask(f"Who has the {h.lower()} {columns[h][i]}?", people[i], "find"))
    numbers = [h for h in heads if h in ("Age", "Pay")]
    if numbers:
        values = [int(cell.replace(",", "")) for cell in columns[numbers[0]]]
        if values.count(max(values)) == 1:
            asked.append(ask(f"Who has the highest {numbers[0].lower()}?", people[values.index(max(values))], "find"))
    absent = rng.choice([name for name in PEOPLE if name not in people])
    asked.append(ask(f"What is the {head.lower()} of {absent}?", None, "refuse"))
    return Document(typeset(body, rng.choice("THPNC"), rng.uniform(4.0, 4.8)), "table", "\n".join(" ".join(row) for row in rows), asked)


def receipt(rng: random.Random) -> Document:
    """A receipt of two to seven articles, and six or seven questions."""
    shop, goods = rng.choice(SHOPS), rng.sample(GOODS, rng.randint(2, 7))
    cents = [rng.randint(95, 4999) for _ in goods]
    number = f"{rng.choice('ABKR')}{rng.randint(1000, 99999)}"
    date = rng.choice(
        (
            f"{rng.randint(2015, 2025)}-{rng.randint(1, 12):02d}-{rng.randint(13, 28)}",
            f"{rng.randint(13, 28)} {rng.choice(MONTHS)} {rng.randint(2015, 2025)}",
        )
    )
    sign = rng.choice(("", "", "$", "\\[Po]"))
    shown = {"\\[Po]": "£"}.get(sign, sign)
    priced = [(name, f"{c / 100:.2f}") for name, c in zip(goods, cents, strict=True)]
    label, total = rng.choice(("Total", "TOTAL", "To pay", "Amount due")), f"{sum(cents) / 100:.2f}"
    paid = rng.choice(("Card", "Cash received"))
    rows = [*priced, (label, f"{shown}{total}"), (paid, f"{shown}{total}")]
    said = [shop, f"No. {number}", date, *[" ".join(row) for row in rows]]
    lines = [*["\t".join(row) for row in priced], "_", f"{label}\t{sign}{total}", f"{paid}\t{sign}{total}"]
    align = rng.choice((".ce 3\n", ""))
    body = f"{align}\\fB{shop}\\fP\n.br\nNo. {number}\n.br\n{date}\n.sp 0.5\n.TS\nexpand;\nl r.\n" + "\n".join(lines) + "\n.TE"
    k = rng.randrange(len(goods))
    a, b = rng.sample(range(len(goods)), 2)
    absent = rng.choice([name for name in GOODS if name not in goods])
    asked = [
        ask("What is the total?", f"{shown}{total}", "total"),
        ask("What is the date?", date, "date"),
        ask("What is the receipt number?", number, "number"),
        ask(f"What does the {goods[k].lower()} cost?", priced[k][1], "price"),
        ask("List every item with its price.", "\n".join(" ".join(row) for row in priced), "list"),
        ask(f"What do the {goods[a].lower()} and the {goods[b].lower()} cost together?", f"{(cents[a] + cents[b]) / 100:.2f}", "sum"),
        ask(f"What does the {absent.lower()} cost?", None, "refuse"),
    ]
    return Document(typeset(body, rng.choice("THPNC"), rng.uniform(2.6, 3.4)), "receipt", "\n".join(said), asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the set is written")
    folder = parser.parse_args().folder
    entries = []
    for name, make, count in (("chart", chart, CHARTS), ("table", table, TABLES), ("receipt", receipt, RECEIPTS)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            document = make(random.Random(f"foreign/{name}/{SEED}/{index}"))
            file = f"{name}/{index:03d}.webp"
            document.picture.save(folder / file, quality=86, method=6)
            sha256 = hashlib.sha256((folder / file).read_bytes()).hexdigest()
            entries.append(
                {"file": file, "sha256": sha256, "family": document.family, "text": document.text, "questions": document.questions}
            )
    (folder / "documents.json").write_text(json.dumps(entries, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
