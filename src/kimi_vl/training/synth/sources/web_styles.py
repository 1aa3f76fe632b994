"""How web pages are dressed and arranged beyond their grammar: palettes, and CSS that moves headers, navigation, labels and buttons about.

Without it a link of the navigation always followed the site's name at the upper left, and nano pointed there without reading.
"""

import colorsys
import random

from kimi_vl.training.synth.content import luminance

SIDES = ("flex-start", "flex-start", "center", "flex-end", "space-between", "space-around", "space-evenly")
READABLE = 110  # least difference of luminance (of 255) between text and what it stands on


def palette(rng: random.Random) -> dict[str, str]:
    """Colours of a theme by their names: paper, card, ink, muted, accent, on_accent, line."""
    dark, hue, tint = rng.random() < 0.3, rng.random(), rng.choice((0.0, 0.05, 0.15, 0.4))
    other = hue if rng.random() < 0.5 else rng.random()

    def tone(of: float, lightness: float, saturation: float) -> tuple[int, int, int]:
        red, green, blue = colorsys.hls_to_rgb(of, lightness, saturation)
        return round(255 * red), round(255 * green), round(255 * blue)

    paper = tone(hue, rng.uniform(0.02, 0.2) if dark else rng.uniform(0.9, 1.0), tint)
    card = paper if rng.random() < 0.3 else tone(hue, rng.uniform(0.1, 0.25) if dark else rng.uniform(0.94, 1.0), tint)
    ink = tone(hue, rng.uniform(0.86, 1.0) if dark else rng.uniform(0.0, 0.2), tint)
    muted = tone(hue, rng.uniform(0.68, 0.8) if dark else rng.uniform(0.28, 0.4), tint)
    line = tone(hue, rng.uniform(0.3, 0.45) if dark else rng.uniform(0.6, 0.88), tint)
    accent = paper
    while abs(luminance(accent) - luminance(paper)) < READABLE / 2 or abs(luminance(accent) - luminance(card)) < READABLE / 2:
        accent = tone(other, rng.uniform(0.55, 0.8) if dark else rng.uniform(0.2, 0.5), rng.uniform(0.4, 1.0))
    on_accent = (255, 255, 255) if luminance(accent) < 145 else (16, 16, 20)
    colours = {"paper": paper, "card": card, "ink": ink, "muted": muted, "accent": accent, "on_accent": on_accent, "line": line}
    return {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in colours.items()}


def arrangement(rng: random.Random) -> str:
    """CSS that goes behind a page's own and rearranges it; each piece of it comes now and then."""
    pieces = [header(rng)]
    rules = (
        (0.4, lambda: f"h1,h2{{text-align:{rng.choice(('center', 'center', 'right'))}}}"),
        (0.3, lambda: f"h1{{font-size:{rng.uniform(1.2, 2.2):.2f}em}}h2{{font-weight:{rng.choice((400, 600))}}}"),
        (0.4, lambda: f"main{{max-width:{rng.randint(70, 95)}%;margin:0 {rng.choice(('auto', 'auto', '0 0 auto', '24px'))}}}"),
        (0.3, lambda: f"main{{padding:{rng.randint(4, 36)}px {rng.randint(8, 60)}px}}"),
        (0.35, lambda: "main.flow,main>.flow{flex-direction:row-reverse}"),
        (0.4, lambda: f"p.flow,p:has(>button){{display:flex;flex-wrap:wrap;gap:8px;justify-content:{rng.choice(SIDES)}}}"),
        (0.25, lambda: "p:has(>button){flex-direction:row-reverse}"),
        (0.15, lambda: "p:has(>button){display:flex;flex-direction:column;align-items:stretch;gap:6px}"),
        (0.35, lambda: "label.row{flex-direction:row;align-items:center;gap:12px}label.row>span{flex:0 0 32%}"),
        (0.15, lambda: "label.row>span{text-align:right}"),
        (0.3, lambda: "label.tick{flex-direction:row-reverse;justify-content:space-between;width:auto}"),
        (0.3, lambda: f".between{{justify-content:{rng.choice(('flex-start', 'flex-end', 'space-around'))}}}"),
        (0.2, lambda: ".between{flex-direction:row-reverse}"),
        (0.3, lambda: f".grid{{gap:{rng.randint(4, 30)}px}}"),
        (0.3, lambda: f".card{{padding:{rng.randint(4, 26)}px;text-align:{rng.choice(('left', 'center'))}}}"),
        (0.45, lambda: table(rng)),
        (0.4, lambda: button(rng)),
        (0.3, lambda: control(rng)),
        (0.2, lambda: f"body{{font-weight:{rng.choice((400, 500, 600))};letter-spacing:{rng.uniform(0, 0.6):.1f}px}}"),
        (0.25, lambda: f"body{{line-height:{rng.uniform(1.2, 1.8):.2f}}}"),
    )
    pieces += [rule() for chance, rule in rules if rng.random() < chance]
    return "\n".join(pieces)


def header(rng: random.Random) -> str:
    """Where the site's name and its links stand: in a row or under each other, at either side or spread, above or below the page."""
    css = f".bar{{flex-wrap:wrap;justify-content:{rng.choice(SIDES)};gap:{rng.randint(2, 12)}px {rng.randint(8, 40)}px}}"
    draw = rng.random()
    if draw < 0.35:  # the name has a row of its own
        css += f".bar>b:first-child{{flex:0 0 100%;text-align:{rng.choice(('left', 'center', 'center', 'right'))}}}"
    elif draw < 0.5:
        css += ".bar>b:first-child{order:9}"
    if rng.random() < 0.3:
        css += ".bar .push{margin-left:0}"
    if rng.random() < 0.2:
        css += ".bar{flex-direction:row-reverse}"
    if rng.random() < 0.3:
        css += f".bar>b:first-child{{font-size:{rng.uniform(1.1, 1.8):.2f}em}}"
    if rng.random() < 0.35:
        css += f".bar>a{{padding:{rng.randint(2, 8)}px {rng.randint(6, 16)}px;border-radius:{rng.choice((0, 4, 20))}px;border:1px solid}}"
    if rng.random() < 0.2:
        css += ".bar>a{text-decoration:underline}"
    if rng.random() < 0.3:
        css += f".bar{{padding:{rng.randint(2, 26)}px {rng.randint(4, 40)}px}}"
    if rng.random() < 0.15:
        css += "body{display:flex;flex-direction:column}body>.bar:first-child{order:9}"
    return css


def table(rng: random.Random) -> str:
    css = rng.choice(
        (
            "td,th{border:1px solid #8888}",
            "td,th{border:0}tr:nth-child(even){background:#8882}",
            "th{background:#8883}",
            "th{border-bottom:3px double #888}td{border:0}",
            "td,th{text-align:center}",
            "td.n,th.n{text-align:left}",
        )
    )
    if rng.random() < 0.4:
        css += "table{width:auto}"
    if rng.random() < 0.4:
        css += f"td,th{{padding:{rng.randint(2, 12)}px {rng.randint(6, 28)}px}}"
    return css


def button(rng: random.Random) -> str:
    """How buttons look; links in their places may look like them."""
    css = f"button{{border-radius:{rng.choice((0, 3, 8, 24))}px;border-width:{rng.choice((0, 1, 2, 3))}px;padding:{rng.randint(3, 12)}px "
    css += f"{rng.randint(8, 30)}px}}"
    if rng.random() < 0.3:
        css += "button{box-shadow:0 2px 5px #0006}"
    if rng.random() < 0.25:
        css += "button.plain:not(.icon){background:transparent;border-color:transparent;text-decoration:underline}"
    if rng.random() < 0.2:
        css += "p>button{width:100%}"
    return css


def control(rng: random.Random) -> str:
    """How fields and drop-downs look."""
    wide = f"select,input:not([type=checkbox],[type=radio],[type=range]){{padding:{rng.randint(2, 12)}px {rng.randint(4, 16)}px;"
    return wide + rng.choice(
        ("border-width:0 0 2px;border-radius:0}", "border-radius:30px}", "border-width:2px}", "background:#8882;border:0}")
    )
