"""Pictures made by hand: encoders for ordinary files, and PNGs that no encoder would write."""

import struct
import zlib
from io import BytesIO

import numpy as np
import pillow_heif
from PIL import Image


def blocks(width=64, height=48):
    """Colour blocks of 8 pixels: survives JPEG, and every quarter of it differs."""
    generator = np.random.default_rng(0)
    colours = generator.integers(0, 256, (height // 8, width // 8, 3))
    return Image.fromarray(np.kron(colours, np.ones((8, 8, 1))).astype(np.uint8))


def encoded(image, file_format, **options):
    buffer = BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def heic(image, quality=90, **options):
    """An HEIC picture; with quality -1 its pixels are kept."""
    buffer = BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=quality, **options)
    return buffer.getvalue()


def orientation(value):
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, bits, colour_type, rows, *extra, idat=None):
    """A PNG with any header: `rows` are the filtered scan lines, `extra` chunks stand before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(rows, 9) if idat is None else idat
    parts = (png_chunk(b"IHDR", header), *extra, png_chunk(b"IDAT", pixels), png_chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def claimed_size(width, height):
    """Small PNG whose header claims width × height 1-bit pixels, and whose data keeps the promise."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    data = b"".join(squeeze.compress(row) for _ in range(height)) + squeeze.flush()
    return png(width, height, 1, 0, b"", idat=data)
