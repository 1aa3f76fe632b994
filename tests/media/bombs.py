"""Small PDFs that want much: memory and time out of a few kilobytes (RELIABILITY I4, I8)."""

import struct
import zlib
from io import BytesIO

from PIL import Image

from tests.media.pdfs import assembled, page, pdf, stream


def flate():
    """26 MB of drawing commands in 26 KB."""
    return pdf((page()[0], stream(zlib.compress(b"0 0 1 1 re f " * 2_000_000, 9), b"/Filter /FlateDecode")))


def flate_twice(megabytes=1000):
    """A picture of so many megabytes, packed twice: 1 MB packs to 1 KB, and that again to a few bytes."""
    squeeze = zlib.compressobj(9)
    head = squeeze.compress(b"") + squeeze.flush(zlib.Z_FULL_FLUSH)
    block = squeeze.compress(bytes(1 << 20)) + squeeze.flush(zlib.Z_FULL_FLUSH)  # knows nothing of what was before it
    once = head + block * megabytes + squeeze.flush()
    entries = b"/Type /XObject /Subtype /Image /Width 32000 /Height 32000 /ColorSpace /DeviceGray /BitsPerComponent 8"
    return picture(zlib.compress(once, 9), entries + b" /Filter [/FlateDecode /FlateDecode]")


def forms(depth=9):
    """Each form draws the next ten times: ten to the power of `depth` drawings out of a few bytes."""
    made = {}
    for k in range(depth):
        inner = b"" if k == depth - 1 else b"/XObject << /N %d 0 R >>" % (101 + k)
        draw = b"0 0 9 9 re f" if k == depth - 1 else b" ".join([b"/N Do"] * 10)
        made[100 + k] = stream(draw, b"/Type /XObject /Subtype /Form /BBox [0 0 400 300] /Resources << " + inner + b" >>")
    return drawing(made)


def shading():
    """A function-based shading whose function is a sampled one of a thousand steps, painted five thousand times."""
    samples = bytes(1000 * 3)
    function = stream(samples, b"/FunctionType 0 /Domain [0 1 0 1] /Range [0 1 0 1 0 1] /Size [40 25] /BitsPerSample 8")
    shade = b"<< /ShadingType 1 /ColorSpace /DeviceRGB /Domain [0 1 0 1] /Matrix [400 0 0 300 0 0] /Function 101 0 R >>"
    one = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Resources << /Shading << /N 100 0 R >> >> /Contents 11 0 R >>"
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>",
        10: one,
        11: stream(b"/N sh " * 5_000),
        100: shade,
        101: function,
    }
    return assembled(objects)


def jpx(side=30_000):
    """A JPEG 2000 that claims side × side pixels, and holds those of 1000 × 1000."""
    buffer = BytesIO()
    Image.new("L", (1000, 1000)).save(buffer, "JPEG2000", num_resolutions=6)
    data = buffer.getvalue().replace(struct.pack(">I", 1000), struct.pack(">I", side))
    return picture(data, b"/Type /XObject /Subtype /Image /Width %d /Height %d /Filter /JPXDecode" % (side, side))


def jbig2(side=65_000):
    """A JBIG2 page of side × side pixels and one region as large, of which nothing follows."""
    information = struct.pack(">IIIIBH", side, side, 0, 0, 0, 0)
    region = struct.pack(">IIIIB", side, side, 0, 0, 0) + b"\x00\x03\xff\xfd\xff\x02\xfe\xfe\xfe" + bytes(64)
    segments = struct.pack(">IBBBI", 0, 48, 0, 1, len(information)) + information
    segments += struct.pack(">IBBBI", 1, 38, 0, 1, len(region)) + region
    entries = b"/Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceGray /BitsPerComponent 1" % (side, side)
    return picture(segments, entries + b" /Filter /JBIG2Decode")


def picture(data, entries):
    """A page that is one picture."""
    return drawing({100: stream(data, entries)}, b"400 0 0 300 0 0 cm /N Do")


def drawing(objects, content=b"/N Do"):
    """A page that draws object 100."""
    return assembled(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>",
            10: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Resources << /XObject << /N 100 0 R >> >> /Contents 11 0 R >>",
            11: stream(content),
            **objects,
        }
    )
