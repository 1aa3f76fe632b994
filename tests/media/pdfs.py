"""PDFs made by hand: bytes whose every number is known, and such as no program would write."""

import hashlib
import zlib

FONTS = "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >>"
PADDING = bytes.fromhex("28BF4E5E4E758A4164004E56FFFA01082E2E00B6D0683E802F0CA9FE6453697A")


def assembled(objects, trailer="", header=b"%PDF-1.7\n"):
    """A file of {number: bytes of the object} with a right table of offsets; object 1 is the catalogue."""
    data = bytearray(header)
    offsets = {}
    for number, body in objects.items():
        offsets[number] = len(data)
        data += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, last = len(data), max(objects)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (last + 1)
    for number in range(1, last + 1):
        data += b"%010d %05d %c \n" % (offsets.get(number, 0), 0, b"n" if number in offsets else b"f")
    data += f"trailer\n<< /Size {last + 1} /Root 1 0 R {trailer} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(data)


def stream(content, entries=b""):
    return b"<< /Length %d %s >>\nstream\n" % (len(content), entries) + content + b"\nendstream"


def page(*content, size=(400, 300), entries="", packed=False):
    """(entries of the page, its content): drawing commands as text, sizes in points."""
    box = "" if size is None else f"/MediaBox [0 0 {size[0]} {size[1]}]"
    commands = "\n".join(content).encode("cp1252")
    return f"{box} {entries}", stream(zlib.compress(commands, 9), b"/Filter /FlateDecode") if packed else stream(commands)


def text(words, x=50, y=200, points=20, matrix=None):
    """Commands that write `words` from (x, y), measured from the lower left corner."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    place = matrix or f"1 0 0 1 {x} {y}"
    return f"BT /F1 {points} Tf {place} Tm ({escaped}) Tj ET"


def block(x, y, width, height, colour="0 0 0"):
    return f"{colour} rg {x} {y} {width} {height} re f"


def pdf(*pages, catalogue="", extra=None, **options):
    """A document of such pages, objects 10, 11 (page, content), 12, 13 and so on; `extra` are more objects by number."""
    objects = {1: f"<< /Type /Catalog /Pages 2 0 R {catalogue} >>".encode()}
    kids = " ".join(f"{10 + 2 * k} 0 R" for k in range(len(pages)))
    objects[2] = f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode()
    objects.update(extra or {})
    for k, (entries, content) in enumerate(pages):
        number = 10 + 2 * k
        objects[number] = f"<< /Type /Page /Parent 2 0 R /Resources << {FONTS} >> /Contents {number + 1} 0 R {entries} >>".encode()
        objects[number + 1] = content
    return assembled(dict(sorted(objects.items())), **options)


def rc4(key, data):
    state, j, out = list(range(256)), 0, bytearray()
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) % 256
        state[i], state[j] = state[j], state[i]
    i = j = 0
    for byte in data:
        i = (i + 1) % 256
        j = (j + state[i]) % 256
        state[i], state[j] = state[j], state[i]
        out.append(byte ^ state[(state[i] + state[j]) % 256])
    return bytes(out)


def locked(words, user, owner):
    """One page saying `words`, encrypted with 40 bits (PDF 1.7 §7.6.3, revision 2). An empty user password opens it to all."""
    padded = [(password.encode() + PADDING)[:32] for password in (user, owner)]
    owner_entry = rc4(hashlib.md5(padded[1]).digest()[:5], padded[0])
    rights, identity = -4, bytes(16)
    key = hashlib.md5(padded[0] + owner_entry + rights.to_bytes(4, "little", signed=True) + identity).digest()[:5]
    content = text(words).encode()
    own = hashlib.md5(key + (11).to_bytes(3, "little") + bytes(2)).digest()[:10]
    entries = f"<< /Filter /Standard /V 1 /R 2 /O <{owner_entry.hex()}> /U <{rc4(key, PADDING).hex()}> /P {rights} >>"
    body, _ = page()
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>",
        3: entries.encode(),
        10: f"<< /Type /Page /Parent 2 0 R /Resources << {FONTS} >> /Contents 11 0 R {body} >>".encode(),
        11: stream(rc4(own, content)),
    }
    return assembled(objects, trailer=f"/Encrypt 3 0 R /ID [<{identity.hex()}> <{identity.hex()}>]")


def unembedded(words, collection="GB1", name="STSong-Light", encoding="UniGB-UCS2-H"):
    """One page saying `words` in a font that the file does not hold, as programs of East Asia write them."""
    system = f"<< /Registry (Adobe) /Ordering ({collection}) /Supplement 2 >>"
    extra = {
        3: f"<< /Type /Font /Subtype /Type0 /BaseFont /{name} /Encoding /{encoding} /DescendantFonts [4 0 R] >>".encode(),
        4: f"<< /Type /Font /Subtype /CIDFontType0 /BaseFont /{name} /CIDSystemInfo {system} /DW 1000 /FontDescriptor 5 0 R >>".encode(),
        5: f"<< /Type /FontDescriptor /FontName /{name} /Flags 4 /FontBBox [0 -120 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 "
        "/CapHeight 700 /StemV 90 >>".encode(),
        11: stream(f"BT /F2 30 Tf 50 200 Td <{words.encode('utf-16-be').hex()}> Tj ET BT /F1 20 Tf 50 100 Td (Total 12) Tj ET".encode()),
    }
    fonts = f"{FONTS[:-3]} /F2 3 0 R >>"
    body, _ = page()
    return assembled(
        {
            1: b"<< /Type /Catalog /Pages 2 0 R >>",
            2: b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>",
            **extra,
            10: f"<< /Type /Page /Parent 2 0 R /Resources << {fonts} >> /Contents 11 0 R {body} >>".encode(),
        }
    )
