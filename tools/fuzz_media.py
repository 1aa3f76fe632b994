"""Throws damaged files at the sandbox and counts how each ends:

    python tools/fuzz_media.py --count 5000 [--kind pictures|videos|documents|offices] [--seed 0] [--minutes 10]

Samples of every picture format, of five containers and six codecs, of PDFs and office files are cut, flipped, spliced and given lying
numbers. Every file must end as parts or a MediaError, this process must live, and at the end its descriptors and child processes must be
as many as at the start (RELIABILITY G4). Exit code 1 where that is not so.
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
import zipfile
import zlib
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO

import av
import numpy as np
from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media import load_frames, open_medium, sandbox
from kimi_vl.media.sources import open_source

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


def pictures() -> dict[str, bytes]:
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


CLIPS = {
    # name: (muxer, encoder, its options)
    "mp4 h264": ("mp4", "libx264", {"preset": "ultrafast", "threads": "1", "bf": "2"}),
    "mp4 mpeg4": ("mp4", "mpeg4", {}),
    "mkv h264": ("matroska", "libx264", {"preset": "ultrafast", "threads": "1"}),
    "webm vp9": ("webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "threads": "1"}),
    "webm vp8": ("webm", "libvpx", {"deadline": "realtime", "cpu-used": "8", "threads": "1"}),
    "avi mpeg4": ("avi", "mpeg4", {}),
    "avi mjpeg": ("avi", "mjpeg", {}),
    "ts h264": ("mpegts", "libx264", {"preset": "ultrafast", "threads": "1"}),
}


def videos() -> dict[str, bytes]:
    """A second of 64×48 in each container."""
    made = {name: clip(*how) for name, how in CLIPS.items()}
    return made | {f"{name} with subtitles": clip(*CLIPS[name], subtitles=codec) for name, codec in SUBTITLES.items()}


SUBTITLES = {"mp4 mpeg4": "mov_text", "mkv h264": "ass", "webm vp8": "webvtt"}
ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def clip(muxer: str, encoder: str, options: dict[str, str], subtitles: str | None = None) -> bytes:
    generator = np.random.default_rng(0)
    buffer = BytesIO()
    with av.open(buffer, "w", format=muxer) as out:
        stream = out.add_stream(encoder, rate=8, options=options)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
        words = out.add_stream(subtitles) if subtitles else None
        if words is not None:
            words.codec_context.subtitle_header = ASS_HEADER
        for number in range(8):
            pixels = np.kron(generator.integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=stream.pix_fmt)
            frame.pts, frame.time_base = number, Fraction(1, 8)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        for number in range(4) if words is not None else ():
            line = b"Mind {\\i1}the</i> gap."
            start = {"ass": b"%d,0,Default,,0,0,0,," % number, "mov_text": len(line).to_bytes(2, "big")}.get(str(subtitles), b"")
            packet = av.Packet(start + line)
            packet.stream, packet.time_base, packet.pts, packet.dts, packet.duration = words, Fraction(1, 4), number, number, 1
            out.mux(packet)
    return buffer.getvalue()


def documents() -> dict[str, bytes]:
    """PDFs as Pillow makes them, and by hand: text, forms in forms, packed streams, JPEG, and tables of objects of both kinds."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 32, 3)).astype(np.uint8))
    made = {}
    for name, image in (("jpeg", picture), ("fax", picture.convert("1")), ("palette", picture.convert("P"))):
        buffer = BytesIO()
        image.save(buffer, "PDF", save_all=True, append_images=[image], title="A title")
        made[f"pdf of a {name}"] = buffer.getvalue()
    words = b"BT /F1 20 Tf 50 200 Td (Total due: 12.50) Tj ET q 1 0 0 rg 10 10 90 40 re f Q /N Do /Sh sh"
    made["pdf of text"] = pdf(words, b"")
    made["pdf packed"] = pdf(zlib.compress(words), b"/Filter /FlateDecode")
    return made


def pdf(content: bytes, entries: bytes) -> bytes:
    form = b"0 0 1 rg 0 0 50 50 re f"
    bodies = (
        b"<< /Type /Catalog /Pages 2 0 R /Outlines 8 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R 3 0 R] /Count 2 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Rotate 90 /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> "
        b"/XObject << /N 6 0 R >> /Shading << /Sh 7 0 R >> >> >>",
        b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Type /XObject /Subtype /Form /BBox [0 0 50 50] /Length %d >>\nstream\n%s\nendstream" % (len(form), form),
        b"<< /ShadingType 2 /ColorSpace /DeviceRGB /Coords [0 0 99 99] /Function << /FunctionType 2 /Domain [0 1] /N 1 /C0 [1 0 0] "
        b"/C1 [0 0 1] >> >>",
        b"<< /Title (A title) >>",
    )
    data, places = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(bodies, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1) + b"".join(b"%010d 00000 n \n" % place for place in places)
    return bytes(data) + b"trailer\n<< /Size %d /Root 1 0 R /Info 8 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, start)


def offices() -> dict[str, bytes]:
    """Office files as far as they are looked at before LibreOffice is: their tables of contents and what names their kind."""
    prefix = "application/vnd.openxmlformats-officedocument"
    mains = {"docx": "wordprocessingml.document", "xlsx": "spreadsheetml.sheet", "pptx": "presentationml.presentation"}
    made = {}
    for name, kind in mains.items():
        types = f'<Types><Override PartName="/word/document.xml" ContentType="{prefix}.{kind}.main+xml"/></Types>'
        made[name] = archive({"[Content_Types].xml": types, "word/document.xml": "<w/>" * 40, "word/media/image1.png": "x"})
    for name, kind in (("odt", "text"), ("ods", "spreadsheet"), ("odp", "presentation")):
        made[name] = archive({"mimetype": f"application/vnd.oasis.opendocument.{kind}", "content.xml": "<o/>" * 40})
    return made


def archive(entries: dict[str, str]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, text in entries.items():
            out.writestr(name, text, zipfile.ZIP_STORED if name == "mimetype" else None)
    return buffer.getvalue()


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


def attacks(seed: int, made: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """(sample, damaged file) without end; the same for the same seed."""
    generator = random.Random(seed)
    names = list(made)
    while True:
        name = generator.choice(names)
        yield name, mutated(made[name], made[generator.choice(names)], generator)


def read_as_picture(name: str, data: bytes) -> None:
    if name.startswith("tiff"):
        open_medium(data).close()  # all its pages, decoded
    else:
        load_frames(data)


def read_as(data: bytes, **requests: dict[str, object]) -> None:
    """By each of these readers; the first error ends it."""
    with open_source(data) as source:
        for reader, request in requests.items():
            for part in sandbox.read(reader, source.file, "the file", request):
                if error := part.facts.get("error"):
                    raise MediaError(error, "one page of several")


def read_as_video(name: str, data: bytes) -> None:
    speech: dict[str, dict[str, object]] = {"video_subtitles": {}} if name.endswith("subtitles") else {}
    read_as(data, video_info={}, video_frames={"per_second": 4, "most_side": 64, "max_frames": 16}, **speech)


def read_as_document(name: str, data: bytes) -> None:
    read_as(data, document_info={}, document_text={"pages": [1]}, document_pages={"pages": [1], "max_pixels": 60_000})


def read_as_office(name: str, data: bytes) -> None:
    read_as(data, office_info={})


KINDS: dict[str, tuple[Callable[[], dict[str, bytes]], Callable[[str, bytes], None]]] = {
    "pictures": (pictures, read_as_picture),
    "videos": (videos, read_as_video),
    "documents": (documents, read_as_document),
    "offices": (offices, read_as_office),
}


def outcome(read: Callable[[str, bytes], None], name: str, data: bytes) -> tuple[str, str]:
    """What became of a file: "ok" or an error's code, and its words without numbers."""
    try:
        read(name, data)
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
    parser.add_argument("--kind", choices=KINDS, default="pictures")
    args = parser.parse_args()
    samples, read = KINDS[args.kind]
    made = samples()
    for name, data in made.items():
        if (whole := outcome(read, name, data)) != ("ok", ""):
            raise SystemExit(f"the sample {name} is not read whole: {whole}")
    before, began = held(), time.monotonic()
    codes: collections.Counter[str] = collections.Counter()
    words: collections.Counter[str] = collections.Counter()
    formats: collections.Counter[str] = collections.Counter()
    slowest, done = (0.0, ""), 0
    for number, (name, data) in enumerate(attacks(args.seed, made)):
        if number >= args.count or time.monotonic() - began > 60 * args.minutes:
            break
        start = time.monotonic()
        code, text = outcome(read, name, data)
        took = time.monotonic() - start
        slowest = max(slowest, (took, f"{name}, number {number}"))
        codes[code] += 1
        formats[name] += 1
        words[text] += code in ("media_decoder_crashed", "media_timeout", "media_too_complex", "invalid_media")
        done += 1
    after = held()
    report = {
        "kind": args.kind,
        "seed": args.seed,
        "files": done,
        "by_sample": dict(sorted(formats.items())),
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
