"""Pictures of shapes: up to twelve on a plain or busy ground, some of them labelled; apart from each other but for a pair."""

from math import cos, hypot, pi, sin

import cv2
import numpy as np

from kimi_vl.training.synth.canvas import Canvas, Colour, Font
from kimi_vl.training.synth.content import Choice, Content, luminance, sized, smaller, smallest
from kimi_vl.training.synth.pictures.shapes import COLOURS, DIRECTIONS, PATTERNS, ROOM, SHAPES, SOLID_ONLY, TURNS, Shape, contours, paint
from kimi_vl.training.synth.pictures.turns import Picture, PictureTurns
from kimi_vl.training.synth.questions import Draft
from kimi_vl.training.synth.scene import Overfull

SIZES = ((448, 448), (448, 448), (448, 336), (336, 448), (336, 336), (560, 448), (672, 448), (224, 224))
COUNTS = (1, 2, 2, 3, 3, 4, 4, 5, 0, 5, 6, 6, 7, 8, 9, 10, 11, 12)
PAIRED = 0.12  # share of pictures in which two shapes touch, overlap or hold each other, or nearly so
GROUNDS = Choice(("plain", "plain", "plain", "gradient", "stripes", "grain"), ("dots", "checks"))
ARRANGEMENTS = Choice(("scattered", "scattered", "scattered", "grid", "row"), ("ellipse", "diagonal"))
FINISHES = Choice(("solid", "solid", "edged"), ("shadow", "rimmed"))
MARGIN = 14  # pixels to the picture's edge
APART = 110  # a shape's colour keeps this distance from its ground (RGB, Euclidean)
SMALLEST = 15  # radius in pixels

Spot = tuple[float, float, float]


def picture(content: Content) -> Draft:
    """A picture of shapes, 224 to 672 pixels a side, with 3 to 6 turns. Raises Overfull."""
    rng = content.rng
    width, height = content.one(SIZES)
    count = content.one(COUNTS[:8] if width == 224 else COUNTS)
    ground = str(GROUNDS.pick(rng, content.split))
    tones = draw_tones(content)
    canvas = Canvas(width, height, tones[0])
    lay_ground(content, canvas, ground, tones)
    titled = ground == "plain" and width > 224 and content.chance(0.15)
    x_height, top = 20.0, 0
    title = ""
    if titled:
        font = content.font(content.face(("sans", "serif", "slab")), 14, 22)
        title, ink = content.words(content.rng.randint(1, 3)).capitalize(), (20, 20, 20) if luminance(tones[0]) > 128 else (245, 245, 245)
        canvas.write((width - font.width(title)) // 2, 8 + font.ascent, title, font, ink)
        x_height, top = font.x_height, 8 + font.ascent + font.descent
    usable = [name for name, colour in COLOURS.items() if all(apart(colour, tone) >= APART for tone in tones)]
    spots = arrange(content, count, (width, height), top) if count else []
    shapes = [make_shape(content, kind, spot) for kind, spot in zip(draw_kinds(content, count, usable), spots, strict=True)]
    if content.chance(0.35):
        shapes = [
            shape if shape.name in SOLID_ONLY or shape.radius < 20 else shape._replace(pattern=content.one(PATTERNS)) for shape in shapes
        ]
    pair = ""
    if 1 <= count <= 4 and content.chance(PAIRED * 2.4):
        shapes, pair = pair_up(content, shapes, usable)
    finish = str(FINISHES.pick(rng, content.split))
    for shape in shapes:
        draw_shape(canvas, shape, finish if not pair else "solid", luminance(tones[0]))
    labels: dict[int, str] = {}
    if content.chance(0.5) and not pair:
        labels, smallest_text = print_labels(content, canvas, shapes)
        x_height = min(x_height, smallest_text)
    found = Picture(max(width, height), tuple(shapes), labels, title, pair)
    outlines = [shape.outline for shape in shapes]
    turns = rng.randint(3, 6)
    return Draft(
        canvas, height, x_height, lambda interview: PictureTurns(content, interview, found).draw(turns), outlines=outlines, coloured=True
    )


# Ground ------------------------------------------------------------------------------------------------------------------


def draw_tones(content: Content) -> tuple[Colour, Colour, Colour]:
    """Two related tones of a ground and the one between them: pale, dark, or a colour."""
    r = content.rng
    kind = r.random()
    low, high = (205, 255) if kind < 0.6 else (5, 60) if kind < 0.8 else (40, 220)
    a = tuple(r.randint(low, high) for _ in range(3))
    if content.chance(0.4):
        level = 255 if low > 200 else r.randint(low, high)
        a = (level, level, level)
    b = tuple(max(0, min(255, c + r.randint(-35, 35))) for c in a)
    middle = tuple((p + q) // 2 for p, q in zip(a, b, strict=True))
    return (a[0], a[1], a[2]), (b[0], b[1], b[2]), (middle[0], middle[1], middle[2])


def apart(a: Colour, b: Colour) -> float:
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True)) ** 0.5


def lay_ground(content: Content, canvas: Canvas, ground: str, tones: tuple[Colour, ...]) -> None:
    rng, (a, b, _) = content.rng, tones
    width, height = canvas.width, canvas.height
    if ground == "gradient":
        corners = np.array([[(*rng.choice((a, b)), 0), (*b, 0)], [(*a, 0), (*rng.choice((a, b)), 0)]], np.uint8)
        canvas.rgb[:] = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
    elif ground == "grain":
        local = np.random.default_rng(rng.getrandbits(32))
        share = local.random((height // rng.randint(2, 12), width // rng.randint(2, 12), 1), dtype=np.float32)
        mixed = (np.array([*a, 0]) + share * (np.array([*b, 0]) - np.array([*a, 0]))).astype(np.uint8)
        canvas.rgb[:] = cv2.resize(mixed, (width, height), interpolation=cv2.INTER_LINEAR)
    elif ground == "stripes":
        step, upright = rng.randint(8, 40), content.chance(0.5)
        for at in range(0, width if upright else height, 2 * step):
            canvas.fill(*((at, 0, at + step, height) if upright else (0, at, width, at + step)), b)
    elif ground in ("dots", "checks"):
        step = rng.randint(12, 40)
        for row, y in enumerate(range(0, height, step)):
            for x in range(row % 2 * step, width, 2 * step):
                if ground == "checks":
                    canvas.fill(x, y, x + step, y + step, b)
                else:
                    cv2.circle(canvas.rgb, (x, y), step // 4, (*b, 0), -1, cv2.LINE_AA)


# Places ------------------------------------------------------------------------------------------------------------------


def arrange(content: Content, count: int, size: tuple[int, int], top: int) -> list[Spot]:
    """`count` spots (x, y, radius) that do not touch, below `top`. Raises Overfull."""
    kind = str(ARRANGEMENTS.pick(content.rng, content.split))
    width, height = size
    if kind == "scattered" or (kind in ("row", "diagonal") and not 2 <= count <= 6) or (kind == "ellipse" and not 3 <= count <= 9):
        return scatter(content, count, size, top)
    if kind == "grid":
        columns = max(1, round((count * width / (height - top)) ** 0.5))
        rows = -(-count // columns)
        wide, high = (width - 2 * MARGIN) / columns, (height - top - 2 * MARGIN) / rows
        centres = [(MARGIN + wide * (k % columns + 0.5), top + MARGIN + high * (k // columns + 0.5)) for k in range(count)]
        reach = min(wide, high) / 2
    elif kind == "ellipse":
        reach = min(min(width, height - top) * 0.2, 2.2 * min(width, height - top) / 2 / count)
        a, b = width / 2 - MARGIN - reach, (height - top) / 2 - MARGIN - reach
        start = content.rng.uniform(0, 2 * pi)
        angles = [start + 2 * pi * k / count for k in range(count)]
        centres = [(width / 2 + a * cos(t), top + (height - top) / 2 + b * sin(t)) for t in angles]
    else:
        slope = {"row": 0.0, "diagonal": content.one((-1, 1))}[kind]
        wide = (width - 2 * MARGIN) / count
        middle = top + (height - top) / 2 + (content.rng.uniform(-0.15, 0.15) * height if kind == "row" else 0)
        reach = min(wide / 2, (height - top) / 4)
        rise = slope * ((height - top) / 2 - MARGIN - reach) / max(1, count - 1) * 2
        centres = [(MARGIN + wide * (k + 0.5), middle + rise * (k - (count - 1) / 2)) for k in range(count)]
    reach -= 4
    if reach < SMALLEST:
        raise Overfull(f"{count} shapes in a {kind} are too small")
    return [(x, y, max(SMALLEST, reach * content.rng.uniform(0.5, 1.0))) for x, y in centres]


def scatter(content: Content, count: int, size: tuple[int, int], top: int) -> list[Spot]:
    rng, (width, height) = content.rng, size
    cell = (width * (height - top) / count) ** 0.5
    largest = min(0.21 * min(width, height - top), 0.42 * cell)
    spots: list[Spot] = []
    for _ in range(60 * count):
        radius = max(SMALLEST, largest * rng.uniform(0.4, 1.0))
        x = rng.uniform(MARGIN + radius, width - MARGIN - radius)
        y = rng.uniform(top + MARGIN + radius, height - MARGIN - radius)
        if all(hypot(x - u, y - v) > radius + r + 6 for u, v, r in spots):
            spots.append((x, y, radius))
            if len(spots) == count:
                return spots
    raise Overfull(f"{count} shapes do not fit beside each other")


# Shapes ------------------------------------------------------------------------------------------------------------------


def is_held_out(name: str, colour: str) -> bool:
    """One pair of shape and colour in eleven is drawn in split "test" only."""
    return (SHAPES.index(name) * 5 + list(COLOURS).index(colour) * 3) % 11 == 0


def draw_kinds(content: Content, count: int, colours: list[str]) -> list[tuple[str, str]]:
    """Names and colours: all alike but one, out of a small set, or anything. Raises Overfull where the ground allows none."""
    rng = content.rng
    if not count:
        return []
    pairs = [(n, c) for n in SHAPES for c in colours if content.split == "test" or not is_held_out(n, c)]
    if not pairs:
        raise Overfull("no colour stands out from this ground")
    kind = rng.random()
    if kind < 0.15 and count >= 4:
        usual = rng.choice(pairs)
        odd = [p for p in pairs if (p[0] == usual[0]) != (p[1] == usual[1])] or pairs
        kinds = [usual] * (count - 1) + [rng.choice(odd)]
        rng.shuffle(kinds)
        return kinds
    if kind < 0.7:
        names = set(rng.sample(SHAPES, rng.randint(1, 4)))
        few = set(rng.sample(colours, min(len(colours), rng.randint(1, 4))))
        pairs = [p for p in pairs if p[0] in names and p[1] in few] or pairs
    return [rng.choice(pairs) for _ in range(count)]


def make_shape(content: Content, kind: tuple[str, str], spot: Spot) -> Shape:
    name, colour = kind
    x, y, radius = spot
    rng = content.rng
    quarter = rng.randrange(4) if name == "arrow" else 0
    angle = 90 * quarter + rng.uniform(-1, 1) * TURNS[name]
    shade = rng.randint(-12, 12)  # of all channels alike, or a grey would be a pale green
    shades = [shade] * 3 if colour in ("black", "white", "grey") else [rng.randint(-12, 12) for _ in range(3)]
    fill = tuple(max(0, min(255, c + s)) for c, s in zip(COLOURS[colour], shades, strict=True))
    direction = DIRECTIONS[quarter] if name == "arrow" else ""
    return Shape(name, colour, (fill[0], fill[1], fill[2]), x, y, radius, contours(name, x, y, radius, angle), direction)


def draw_shape(canvas: Canvas, shape: Shape, finish: str, light: float) -> None:
    """Fill it; lines stay inside the outline, so that boxes are tight, and shadows keep to the ground's side."""
    if finish == "shadow" and light > 60:
        paint(canvas, [c + np.float32(3) for c in shape.contours], _scaled(_under(canvas, shape), 0.75))
    if finish in ("edged", "rimmed") and shape.radius >= 20 and shape.name not in ("ring", "moon"):
        paint(canvas, shape.contours, _scaled(shape.fill, 0.7) if finish == "edged" else _lighter(shape.fill))
        middle = np.array([shape.x, shape.y], np.float32)
        paint(canvas, [middle + (c - middle) * np.float32(0.9) for c in shape.contours], shape.fill)
    else:
        paint(canvas, shape.contours, shape.fill)
    if shape.pattern != "solid":
        draw_pattern(canvas, shape)


def draw_pattern(canvas: Canvas, shape: Shape) -> None:
    """Lines or dots of another shade of the shape's own colour, so that its name stays right; or the ground again, within an outline."""
    x0, y0 = (max(0, int(v)) for v in shape.outline.min(0))
    x1, y1 = (int(v) + 2 for v in shape.outline.max(0))
    part = canvas.rgb[y0:y1, x0:x1]
    mask = np.zeros(part.shape[:2], np.uint8)
    middle, corner = np.array([shape.x, shape.y], np.float32), np.array([x0, y0], np.float32)
    share = 0.66 if shape.pattern == "outlined" else 0.86
    points = np.rint((middle + (shape.outline - middle) * np.float32(share) - corner) * 16).astype(np.int32)
    cv2.fillPoly(mask, [points], (255,), cv2.LINE_AA, 4)
    if shape.pattern == "outlined":
        shade = canvas.paper
    else:
        light = luminance(shape.fill)
        shade = _scaled(shape.fill, 0.75) if light > 90 else _lighter(shape.fill)
        ys, xs = np.ogrid[: part.shape[0], : part.shape[1]]
        step = max(8, int(shape.radius / 3))
        if shape.pattern == "striped":
            mask[np.broadcast_to((xs + ys) % step >= step * 0.36, mask.shape)] = 0
        else:
            mask[((xs % step - step / 2) ** 2 + (ys % step - step / 2) ** 2) > (0.3 * step) ** 2] = 0
    cover = mask[:, :, None].astype(np.float32) / 255
    part[:, :, :3] = (part[:, :, :3] + (np.array(shade, np.float32) - part[:, :, :3]) * cover + 0.5).astype(np.uint8)


def pair_up(content: Content, shapes: list[Shape], usable: list[str]) -> tuple[list[Shape], str]:
    """Let two plain shapes share the room of the first: one inside the other, overlapping, touching, or apart by a clear gap.

    Only circles and squares, whose distance is plain. Raises Overfull where there is no room or no second colour.
    """
    rng, first = content.rng, shapes[0]
    colours = [colour for colour in usable if colour not in {shape.colour for shape in shapes}]
    if len(colours) < 2 or first.radius < 3 * SMALLEST:
        raise Overfull("no room for a pair")
    relation = content.one(("inside", "overlapping", "touching", "apart"))
    names = ("circle", "square")
    a, b = (content.one(names), content.one(names)) if relation in ("inside", "apart") else ("circle", "circle")
    hue, other = rng.sample(colours, 2)
    if content.split != "test" and (is_held_out(a, hue) or is_held_out(b, other)):
        raise Overfull("held out")
    if relation == "inside":
        reach = first.radius * rng.uniform(0.3, 0.42)
        spots = [(first.x, first.y, first.radius), (first.x, first.y, reach)]
    else:
        reach = first.radius * {"overlapping": 0.62, "touching": 0.48, "apart": 0.36}[relation]
        gap = {"overlapping": 0.62, "touching": 1.0, "apart": 1.7}[relation] * reach
        t = rng.uniform(0, 2 * pi)
        spots = [(first.x + sign * gap * cos(t), first.y + sign * gap * sin(t), reach) for sign in (-1, 1)]
    pair = [make_shape(content, kind, spot) for kind, spot in zip(((a, hue), (b, other)), spots, strict=True)]
    if apart(pair[0].fill, pair[1].fill) < APART:
        raise Overfull("the pair is hard to tell apart")
    return [*pair, *shapes[1:]], relation


def _under(canvas: Canvas, shape: Shape) -> Colour:
    pixel = canvas.rgb[min(canvas.height - 1, int(shape.y)), min(canvas.width - 1, int(shape.x))]
    return (int(pixel[0]), int(pixel[1]), int(pixel[2]))


def _scaled(colour: Colour, share: float) -> Colour:
    return (int(colour[0] * share), int(colour[1] * share), int(colour[2] * share))


def _lighter(colour: Colour) -> Colour:
    return (*((c + 255) // 2 for c in colour),)  # type: ignore[return-value]


# Labels ------------------------------------------------------------------------------------------------------------------


def print_labels(content: Content, canvas: Canvas, shapes: list[Shape]) -> tuple[dict[int, str], float]:
    """Print different numbers, letters or words into shapes that have room; returns them by shape, and their least x-height."""
    rng = content.rng
    kind = content.one(("number", "digit", "letter", "letter", "word"))
    face = content.face(("sans", "serif", "slab", "condensed"))
    share = content.one((1.0, 1.0, 0.6))
    set_labels: list[tuple[int, str, Font, int, int]] = []
    for k, shape in enumerate(shapes):
        if shape.name not in ROOM or shape.pattern != "solid" or rng.random() > share:
            continue
        text = {"number": str(rng.randint(0, 99)), "digit": content.number(1), "letter": content.letters(1), "word": content.word()}[kind]
        if text in [label[1] for label in set_labels]:
            continue
        rise, half_wide, half_high = (value * shape.radius for value in ROOM[shape.name])
        font: Font | None = sized(face, max(smallest(face), min(40, 1.6 * half_high)))
        while font and (font.width(text) > 2 * half_wide or font.ascent > 2 * half_high):
            font = smaller(font, 0.95)
        if font:
            set_labels.append((k, text, font, int(shape.x - font.width(text) / 2), int(shape.y + rise + font.ascent / 2)))
    for row in _rows(set_labels):
        for n, (k, text, font, x, baseline) in enumerate(row):
            fill = shapes[k].fill
            ink = (15, 15, 15) if luminance(fill) > 120 else (252, 252, 252)
            canvas.write(x, baseline, text, font, ink, paper=fill, same_row=n > 0)
    return {label[0]: label[1] for label in set_labels}, min([label[2].x_height for label in set_labels], default=20.0)


def _rows(labels: list[tuple[int, str, Font, int, int]]) -> list[list[tuple[int, str, Font, int, int]]]:
    """From top to bottom; labels at nearly the same height are one row, from left to right."""
    rows: list[list[tuple[int, str, Font, int, int]]] = []
    for label in sorted(labels, key=lambda label: label[4]):
        if rows and label[4] - rows[-1][0][4] < label[2].ascent / 2:
            rows[-1].append(label)
        else:
            rows.append([label])
    return [sorted(row, key=lambda label: label[3]) for row in rows]
