"""Pictures of icons: one to nine emoji, signs of one ink or flags, scattered or on a grid, some with captions."""

from typing import NamedTuple

from kimi_vl.training.synth.canvas import Canvas, Colour
from kimi_vl.training.synth.content import Content, luminance
from kimi_vl.training.synth.emblem_turns import Emblem, EmblemTurns, Plate
from kimi_vl.training.synth.icons import stamp, tiles
from kimi_vl.training.synth.pack import TILE
from kimi_vl.training.synth.pictures import GROUNDS, apart, arrange, draw_tones, lay_ground
from kimi_vl.training.synth.places import corners
from kimi_vl.training.synth.questions import Draft
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.shapes import COLOURS

SIZES = ((448, 448), (448, 448), (448, 336), (336, 448), (336, 336), (560, 448), (224, 224), (224, 224))
COUNTS = (1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9)
SINGLE = (64, 128)  # pixels: the side of an icon on its own
LEAST, MOST = 32, 128  # pixels: the side of an icon's tile
APART = 110  # a sign's colour keeps this distance from its ground (RGB, Euclidean)
KIND_WEIGHTS = {"things": 60, "signs": 28, "flags": 12}


def emblem(content: Content) -> Draft:
    """A picture of icons, 224 to 560 pixels a side, with 3 to 6 turns. Raises Overfull."""
    rng = content.rng
    width, height = content.one(SIZES)
    count = content.one(COUNTS[:6] if width == 224 else COUNTS)
    captioned = content.chance(0.4) and width > 224
    ground, tones = "plain" if captioned else str(GROUNDS.pick(rng, content.split)), draw_tones(content)
    canvas = Canvas(width, height, tones[0])
    lay_ground(content, canvas, ground, tones)
    kind = rng.choices(list(KIND_WEIGHTS), list(KIND_WEIGHTS.values()))[0]
    hands = [icons for icons in content.pack.icons(content.split) if icons.kind == kind]
    names = draw_names(content, hands[0].names, count)
    inks = draw_inks(content, count, tones) if kind == "signs" else [("", None)] * count
    places, x_height = on_grid(content, canvas, names) if captioned else (scattered(content, canvas, count), 20.0)
    if content.chance(0.7):  # all by one hand
        hands = [content.one(hands)]
    emblems = []
    for name, (colour, ink), place in zip(names, inks, places, strict=True):
        tile = tiles(content.one(hands))[name]
        box = stamp(canvas, tile, place.x, place.y, place.side, ink)
        if kind == "flags" and tile.pixels[round(tile.inked[1] * TILE) + 1, 1, 3] > 200:  # a full rectangle has no edge of its own
            x0, y0, x1, y1 = map(round, box)
            canvas.frame(x0, y0, x1, y1, (128, 128, 128))
        emblems.append(Emblem(name, colour, box, place.side, place.caption))
    plate = Plate(kind, max(width, height), tuple(emblems), hands[0].names)
    turns = rng.randint(3, 6)
    outlines = [corners(*found.box) for found in emblems]
    return Draft(
        canvas, height, x_height, lambda interview: EmblemTurns(content, interview, plate).draw(turns), outlines=outlines, coloured=True
    )


def draw_names(content: Content, names: tuple[str, ...], count: int) -> list[str]:
    """All different, of few kinds, or all alike but one."""
    rng = content.rng
    draw = rng.random()
    if draw < 0.55 and count <= len(names):
        return rng.sample(names, count)
    if draw < 0.7 and count >= 4:
        usual, odd = rng.sample(names, 2)
        return rng.sample([usual] * (count - 1) + [odd], count)
    few = rng.sample(names, min(len(names), rng.randint(1, 3)))
    return [rng.choice(few) for _ in range(count)]


def draw_inks(content: Content, count: int, tones: tuple[Colour, ...]) -> list[tuple[str, Colour | None]]:
    """Names and values of colours that stand out from the ground: one for all signs, or one each. Raises Overfull."""
    rng = content.rng
    usable = [name for name, colour in COLOURS.items() if all(apart(colour, tone) >= APART for tone in tones)]
    if not usable:
        raise Overfull("no colour stands out from this ground")
    chosen = [rng.choice(usable)] * count if content.chance(0.4) else [rng.choice(usable) for _ in range(count)]
    inks: list[tuple[str, Colour | None]] = []
    for name in chosen:
        shade = rng.randint(-12, 12)
        r, g, b = (max(0, min(255, channel + shade)) for channel in COLOURS[name])
        inks.append((name, (r, g, b)))
    return inks


# Places ------------------------------------------------------------------------------------------------------------------


class Place(NamedTuple):
    """Upper left corner and side of a tile (pixels), and what is printed below it."""

    x: int
    y: int
    side: int
    caption: str = ""


def scattered(content: Content, canvas: Canvas, count: int) -> list[Place]:
    """Apart from each other, in one of the arrangements of shapes; a single one may be large. Raises Overfull."""
    if count == 1 and content.chance(0.5):
        side = content.rng.randint(*SINGLE)
        return [Place(content.rng.randint(4, canvas.width - side - 4), content.rng.randint(4, canvas.height - side - 4), side)]
    places = []
    for x, y, radius in arrange(content, count, (canvas.width, canvas.height), 0):
        side = min(MOST, max(LEAST, round(2 * radius)))
        places.append(Place(round(x - side / 2), round(y - side / 2), side))
    return places


def on_grid(content: Content, canvas: Canvas, names: list[str]) -> tuple[list[Place], float]:
    """Cells with a caption below each icon, a word, a price, a number, or its name; also their x-height. Raises Overfull."""
    rng, count = content.rng, len(names)
    columns = min(count, rng.randint(1, 4), canvas.width // 110)
    rows = -(-count // columns)
    wide, high = canvas.width // columns, canvas.height // rows
    font = content.font(content.face(("sans", "serif", "slab", "condensed")), 13, 20)
    room = high - font.ascent - font.descent - 12
    if room < LEAST:
        raise Overfull(f"{rows} rows with captions are too low")
    side = rng.randint(LEAST, min(MOST, room, wide - 8))
    kind = content.one(("word", "word", "word", "number", "price", "name"))
    light = luminance(canvas.paper) > 128
    ink, money = ((20, 20, 24) if light else (244, 244, 244)), content.money()
    places: list[Place] = []
    used: set[str] = set()
    for k, name in enumerate(names):
        texts = {"word": content.word, "number": lambda: str(rng.randint(1, 99)), "price": lambda: money.full(content.cents())}
        caption = name if kind == "name" else texts[kind]()
        if (caption in used and kind != "name") or font.width(caption) > wide - 8:
            raise Overfull(f"{caption!r} is taken or too wide")
        used.add(caption)
        left, top = k % columns * wide, k // columns * high + (room - side) // 2 + 2
        canvas.write(left + (wide - font.width(caption)) // 2, top + side + 4 + font.ascent, caption, font, ink, same_row=k % columns > 0)
        places.append(Place(left + (wide - side) // 2, top, side, caption))
    return places, font.x_height
