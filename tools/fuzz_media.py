"""Throws damaged files at the sandbox and counts how each ends: python tools/fuzz_media.py --count 5000 [--seed 0] [--minutes 10]

Samples of every picture format are cut, flipped, spliced and given lying numbers. Every file must end as a picture or a MediaError, this
process must live, and at the end its descriptors and child processes must be as many as at the start (RELIABILITY G4). Exit code 1 where
that is not so.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media import load_frames, load_pages, sandbox

NUMBERS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff",
    b"\x00\x00\x00\x00",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x00\x00\x40\x00",
    b"\x01\x00",
)


def samples() -> dict[str, bytes]:
    """One file of every kind that is read, small enough to be decoded in a few milliseconds."""
    generator = np.random.default_rng(0)
    picture = Image.fromarray(np.kron(generator.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8))
    others = [picture.rotate(90 * k).resize(picture.size) for k in (1, 2)]
    several = {"save_all": True, "append_images": others, "duration": 200}
    exif = Image.Exif()
    exif[0x0112] = 6
    forms = {
        "png": ("PNG", picture, {}),
        "png palette": ("PNG", picture.convert("P"), {"transparency": 3}),
        "png 16 bit": ("PNG", Image.fromarray(generator.integers(0, 65536, (24, 32)).astype(np.uint16)), {}),
        "apng": ("PNG", picture, several),
        "jpeg": ("JPEG", picture, {"exif": exif}),
        "jpeg progressive": ("JPEG", picture, {"progressive": True}),
        "jpeg cmyk": ("JPEG", picture.convert("CMYK"), {}),
        "webp": ("WEBP", picture, {}),
        "webp lossless": ("WEBP", picture, {"lossless": True}),
        "webp animated": ("WEBP", picture, several),
        "gif": ("GIF", picture, several),
        "bmp": ("BMP", picture, {}),
        "avif": ("AVIF", picture, {}),
        "avif animated": ("AVIF", picture, several),
        "tiff": ("TIFF", picture, {"save_all": True, "append_images": others}),
        "tiff lzw": ("TIFF", picture, {"compression": "tiff_lzw"}),
        "tiff deflate": ("TIFF", picture, {"compression": "tiff_adobe_deflate"}),
        "tiff fax": ("TIFF", picture.convert("1"), {"compression": "group4"}),
    }
    made = {}
    for name, (form, image, options) in forms.items():
        buffer = BytesIO()
        image.save(buffer, form, **options)
        made[name] = buffer.getvalue()
    return made


def mutated(data: bytes, other: bytes, generator: random.Random) -> bytes:
    """`data` with one to four wounds, more often near its beginning, where the headers are."""
    wounded = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 4))):
        end = len(wounded) if generator.random() < 0.5 else min(len(wounded), 300)
        at = generator.randrange(max(1, end))
        kind = generator.randrange(7)
        if kind == 0 and wounded:
            wounded[at] ^= 1 << generator.randrange(8)
        elif kind == 1:
            number = generator.choice(NUMBERS)
            wounded[at : at + len(number)] = number
        elif kind == 2:
            del wounded[at : at + generator.choice((1, 2, 16, 200))]
        elif kind == 3:
            wounded[at:at] = wounded[at : at + generator.choice((1, 8, 200))]
        elif kind == 4:
            del wounded[generator.randrange(len(wounded) + 1) :]
        elif kind == 5:
            start = generator.randrange(len(other))
            wounded[at:] = other[start:]
        else:
            wounded[at : at + 16] = generator.randbytes(16)
    return bytes(wounded)


def attacks(seed: int) -> Iterator[tuple[str, bytes]]:
    """(sample, damaged file) without end; the same for the same seed."""
    generator = random.Random(seed)
    made = samples()
    names = list(made)
    while True:
        name = generator.choice(names)
        yield name, mutated(made[name], made[generator.choice(names)], generator)


def outcome(name: str, data: bytes) -> tuple[str, str]:
    """What became of a file: "ok" or an error's code, and its words without numbers."""
    try:
        if name.startswith("tiff"):
            for _ in load_pages(data):
                pass
        else:
            load_frames(data)
    except MediaError as error:
        return error.code, re.sub(r"[0-9][0-9,]*", "#", str(error))[:100]
    return "ok", ""


def held() -> tuple[int, int]:
    """Descriptors of this process, and processes below the nursery that are not at rest in the pool."""
    pool = sandbox._pool
    nursery = pool._nursery
    below = 0
    if nursery is not None and sys.platform == "linux":
        with open(f"/proc/{nursery._process.pid}/task/{nursery._process.pid}/children") as file:
            below = len(file.read().split())
    return len(os.listdir("/dev/fd")) - 2 * len(pool._idle), below - len(pool._idle)


def main() -> int:
    """Print the counts as JSON; 1 where something was left behind or a file ended as nothing foreseen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    outcome("png", samples()["png"])
    before, began = held(), time.monotonic()
    codes: collections.Counter[str] = collections.Counter()
    words: collections.Counter[str] = collections.Counter()
    slowest, done = (0.0, ""), 0
    for number, (name, data) in enumerate(attacks(args.seed)):
        if number >= args.count or time.monotonic() - began > 60 * args.minutes:
            break
        start = time.monotonic()
        code, text = outcome(name, data)
        took = time.monotonic() - start
        slowest = max(slowest, (took, f"{name}, number {number}"))
        codes[code] += 1
        words[text] += code in ("media_decoder_crashed", "media_timeout", "media_too_complex", "invalid_media")
        done += 1
    after = held()
    report = {
        "seed": args.seed,
        "files": done,
        "seconds": round(time.monotonic() - began, 1),
        "outcomes": dict(codes.most_common()),
        "worth_a_look": {text: count for text, count in words.most_common(20) if count},
        "slowest": {"seconds": round(slowest[0], 2), "file": slowest[1]},
        "descriptors_and_processes": {"before": before, "after": after},
    }
    print(json.dumps(report, indent=2))
    return 0 if after == before else 1


if __name__ == "__main__":
    sys.exit(main())
