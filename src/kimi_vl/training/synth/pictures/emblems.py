"""Pictures of icons: one to nine emoji, signs of one ink or flags, scattered or on a grid, some with captions."""

from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas, Colour
from kimi_vl.training.synth.content import Content, luminance
from kimi_vl.training.synth.pack import TILE, DataPack, IconSet
from kimi_vl.training.synth.pictures.emblem_turns import Emblem, EmblemTurns, Plate
from kimi_vl.training.synth.pictures.icons import Tile, stamp, tiles
from kimi_vl.training.synth.pictures.pictures import GROUNDS, apart, arrange, draw_tones, lay_ground
from kimi_vl.training.synth.pictures.shapes import COLOURS
from kimi_vl.training.synth.places import corners
from kimi_vl.training.synth.questions import Draft
from kimi_vl.training.synth.scene import Overfull

SIZES = ((448, 448), (448, 448), (448, 336), (336, 448), (336, 336), (560, 448), (224, 224), (224, 224))
COUNTS = (1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7, 8, 9)
SINGLE = (48, 160)  # pixels: the side of an icon on its own
LEAST, MOST = 24, 160  # pixels: the side of an icon's tile
APART = 110  # a sign's colour keeps this distance from its ground (RGB, Euclidean)
KIND_WEIGHTS = {"things": 60, "signs": 28, "flags": 12}
LEAST_HANDS = 3  # training sets that draw a name: fewer do not teach what is common to them
BADGED = 0.64  # side of an icon on a badge, relative to the badge
TILT = 14  # degrees: a leaning cat is a cat
SIDED = frozenset(  # mean something else, or are wrong, when mirrored
    "skip forward, undo, redo, question mark, log out, percent, translate, piano, parking, check, check mark, arrow left, arrow right, "
    "calendar, calculator, watch, clock, alarm clock, code, terminal, stop sign, globe, world map, keyboard, newspaper, bluetooth, "
    "barcode, credit card, share, money bag, music, bar chart, edit, coin, list, send, menu".split(", ")
)


def emblem(content: Content) -> Draft:
    """A picture of icons, 224 to 560 pixels a side, with 3 to 6 turns. Raises Overfull."""
    rng = content.rng
    width, height = content.one(SIZES)
    count = content.one(COUNTS[:8] if width == 224 else COUNTS)
    captioned = content.chance(0.4) and width > 224 and count > 1
    ground, tones = "plain" if captioned else str(GROUNDS.pick(rng, content.split)), draw_tones(content)
    canvas = Canvas(width, height, tones[0])
    lay_ground(content, canvas, ground, tones)
    if not captioned and content.chance(0.12):
        speckle(content, canvas)
    kind = rng.choices(list(KIND_WEIGHTS), list(KIND_WEIGHTS.values()))[0]
    hands = [icons for icons in content.pack.icons(content.split) if icons.kind == kind]
    if content.chance(0.5):  # all by one hand
        hands = [content.one(hands)]
    taught = taught_names(content.pack, kind)
    vocabulary = tuple(dict.fromkeys(name for icons in hands for name in icons.names if name in taught))
    names = draw_names(content, vocabulary, count)
    places, x_height = on_grid(content, canvas, names) if captioned else (scattered(content, canvas, count), 20.0)
    emblems = draw_emblems(content, canvas, hands, names, places, tones)
    plate = Plate(kind, max(width, height), tuple(emblems), vocabulary, (width, height))
    turns = rng.randint(3, 6)
    outlines = [corners(*found.box) for found in emblems]
    return Draft(
        canvas, height, x_height, lambda interview: EmblemTurns(content, interview, plate).draw(turns), outlines=outlines, coloured=True
    )


@lru_cache(maxsize=64)
def hand(icons: IconSet) -> dict[str, Tile]:
    """The set's tiles, kept for all 60 sets of a pack (130 MB): decoding one takes 10 ms, a picture 5."""
    return tiles(icons)


@lru_cache(maxsize=64)
def of_one_ink(icons: IconSet) -> bool:
    """Whether only the opacity of the set's tiles counts."""
    return icons.kind == "signs" or not any(tile.pixels[:, :, :3].any() for tile in hand(icons).values())


@lru_cache(maxsize=16)
def taught_names(pack: DataPack, kind: str) -> frozenset[str]:
    """Names that LEAST_HANDS sets for training draw, or all of them where there are fewer sets."""
    sets = [icons for icons in pack.icons("train") if icons.kind == kind]
    drawn = Counter(name for icons in sets for name in icons.names)
    return frozenset(name for name, hands in drawn.items() if hands >= min(LEAST_HANDS, len(sets)))


def draw_names(content: Content, names: tuple[str, ...], count: int) -> list[str]:
    """All different, of few kinds, or all alike but one. In training few kinds are more frequent: of several alike nano counted one."""
    rng = content.rng
    draw = rng.random()
    if draw < (0.4 if content.split == "train" else 0.65) and count <= len(names):
        return rng.sample(names, count)
    if draw < 0.78 and count >= 4 and len(names) > 1:
        usual, odd = rng.sample(names, 2)
        return rng.sample([usual] * (count - 1) + [odd], count)
    few = rng.sample(names, min(len(names), rng.randint(1, 3)))
    return [rng.choice(few) for _ in range(count)]


# Looks -------------------------------------------------------------------------------------------------------------------


def draw_emblems(
    content: Content, canvas: Canvas, hands: list[IconSet], names: list[str], places: list["Place"], tones: tuple[Colour, ...]
) -> list[Emblem]:
    """Put the icons in their places, in one of the looks that a picture may have. Raises Overfull."""
    kind = hands[0].kind
    badge = content.one(("disc", "rounded", "square")) if kind != "flags" and content.chance(0.3) else ""
    shadow, grey = kind != "flags" and content.chance(0.15), kind == "things" and content.chance(0.05)
    fading = not badge and content.chance(0.12)
    inks = draw_inks(content, len(names), tones) if any(of_one_ink(icons) for icons in hands) else [("", None)] * len(names)
    emblems = []
    for name, (colour, ink), place in zip(names, inks, places, strict=True):
        icons = content.one([icons for icons in hands if name in icons.names])
        tile, flat = hand(icons)[name], of_one_ink(icons)
        side, x, y = place.side, place.x, place.y
        if badge:
            ink = lay_badge(content, canvas, place, badge, flat)
            side = round(side * BADGED)
            x, y = x + (place.side - side) // 2, y + (place.side - side) // 2
        tile = turned(content, tile, name, kind)
        if grey and not flat:
            tile = Tile(np.dstack([cv2.cvtColor(tile.pixels[:, :, :3], cv2.COLOR_RGB2GRAY)] * 3 + [tile.pixels[:, :, 3]]), tile.inked)
        if shadow and side > 40:
            veil = Tile(tile.pixels // np.array([1, 1, 1, 3], np.uint8), tile.inked)
            stamp(canvas, veil, min(canvas.width - side, x + 3), min(canvas.height - side, y + 4), side, (0, 0, 0))
        if flat and fading and ink:
            box = stamp(canvas, faded(content, tile, ink), x, y, side)
        else:
            box = stamp(canvas, tile, x, y, side, ink if flat else None)
        if kind == "flags" and tile.pixels[min(TILE - 1, round(tile.inked[1] * TILE) + 1), 1, 3] > 200:  # a full one has no edge of its own
            x0, y0, x1, y1 = map(round, box)
            canvas.frame(x0, y0, x1, y1, (128, 128, 128))
        emblems.append(Emblem(name, colour if flat and not badge and not fading else "", box, side, place.caption))
    return emblems


def turned(content: Content, tile: Tile, name: str, kind: str) -> Tile:
    """Mirrored, where that leaves the meaning, and tilted a little."""
    if kind == "flags":
        return tile
    pixels = tile.pixels
    if name not in SIDED and content.chance(0.3):
        pixels = np.ascontiguousarray(pixels[:, ::-1])
    if "arrow" not in name and name not in ("minus", "plus", "close", "cross mark") and content.chance(0.3):
        middle = (TILE / 2 - 0.5, TILE / 2 - 0.5)
        matrix = cv2.getRotationMatrix2D(middle, content.rng.uniform(-TILT, TILT), content.rng.uniform(0.84, 0.9))
        pixels = np.asarray(cv2.warpAffine(pixels, matrix, (TILE, TILE), flags=cv2.INTER_LINEAR))
    if pixels is tile.pixels:
        return tile
    x, y, wide, high = cv2.boundingRect((pixels[:, :, 3] > 40).astype(np.uint8))
    return Tile(pixels, (x / TILE, y / TILE, (x + wide) / TILE, (y + high) / TILE))


def faded(content: Content, tile: Tile, ink: Colour) -> Tile:
    """The tile in a gradient from the ink to a relative of it."""
    other = [max(0, min(255, channel + content.rng.randint(-60, 60))) for channel in ink]
    share = np.linspace(0, 1, TILE, dtype=np.float32).reshape((TILE, 1, 1) if content.chance(0.5) else (1, TILE, 1))
    mixed = np.broadcast_to(np.array(ink, np.float32) * (1 - share) + np.array(other, np.float32) * share, (TILE, TILE, 3))
    return Tile(np.dstack([mixed.astype(np.uint8), tile.pixels[:, :, 3]]), tile.inked)


def lay_badge(content: Content, canvas: Canvas, place: "Place", badge: str, flat: bool) -> Colour:
    """A disc or a square under an icon, as those of apps have; returns the ink that is seen on it."""
    rng, side = content.rng, place.side
    pale = not flat or content.chance(0.3)  # emoji have every colour: they stand on what is nearly white
    fill = tuple(rng.randint(222, 255) for _ in range(3)) if pale else content.one(tuple(COLOURS.values()))
    colour = (int(fill[0]), int(fill[1]), int(fill[2]))
    x0, y0, x1, y1 = place.x, place.y, place.x + side, place.y + side
    if badge == "disc":
        cv2.circle(canvas.rgb, (x0 + side // 2, y0 + side // 2), side // 2, (*colour, 0), -1, cv2.LINE_AA)
    else:
        r = side // 5 if badge == "rounded" else 0
        canvas.fill(x0 + r, y0, x1 - r, y1, colour)
        canvas.fill(x0, y0 + r, x1, y1 - r, colour)
        for cx, cy in ((x0 + r, y0 + r), (x1 - r - 1, y0 + r), (x0 + r, y1 - r - 1), (x1 - r - 1, y1 - r - 1)):
            cv2.circle(canvas.rgb, (cx, cy), r, (*colour, 0), -1, cv2.LINE_AA)
    usable = [ink for ink in COLOURS.values() if apart(ink, colour) > 2 * APART]
    plain = (250, 250, 250) if luminance(colour) < 140 else (20, 20, 22)
    return content.one(usable) if usable and content.chance(0.4) else plain


def speckle(content: Content, canvas: Canvas) -> None:
    """Noise on a part of the ground."""
    rng = content.rng
    x0, y0 = rng.randrange(canvas.width // 2), rng.randrange(canvas.height // 2)
    part = canvas.rgb[y0 : y0 + canvas.height // 2, x0 : x0 + canvas.width // 2, :3]
    reach = rng.randint(8, 30)
    noise = np.random.default_rng(rng.getrandbits(32)).integers(-reach, reach + 1, (*part.shape[:2], 1), np.int16)
    part[:] = np.clip(part + noise, 0, 255)


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
