"""Font faces for the data pack: which ones, subset to Latin-1, and checked to be readable.

Two sources, fetched by their ordinary clients: npm's `@fontsource/*` packages (files named family-latin-weight-style)
and Debian's `fonts-*` packages. Families are chosen for what real documents are set in.
"""

import io
import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fontTools import subset
from fontTools.ttLib import TTFont
from PIL import Image, ImageFont

# kind: names of @fontsource packages
NPM_FAMILIES = {
    "sans": """
        roboto open-sans lato montserrat noto-sans source-sans-3 pt-sans fira-sans ubuntu ibm-plex-sans
        libre-franklin work-sans inter nunito nunito-sans raleway poppins rubik karla mulish dm-sans cabin
        oxygen hind titillium-web barlow exo-2 dosis quicksand asap archivo public-sans arimo carlito cantarell
        overpass manrope red-hat-text figtree outfit lexend atkinson-hyperlegible b612 catamaran assistant
        signika maven-pro varela-round merriweather-sans alegreya-sans encode-sans be-vietnam-pro
        plus-jakarta-sans urbanist jost josefin-sans didact-gothic abeezee questrial aileron albert-sans
        clear-sans metropolis cooper-hewitt golos-text dejavu-sans tenor-sans play commissioner hanken-grotesk
        onest sofia-sans chivo space-grotesk opendyslexic philosopher
    """,
    "serif": """
        merriweather noto-serif source-serif-4 pt-serif ibm-plex-serif libre-baskerville libre-caslon-text
        eb-garamond lora crimson-pro vollkorn playfair-display gelasio caladea tinos cardo spectral alegreya
        domine cormorant-garamond gentium-book-plus literata newsreader frank-ruhl-libre dm-serif-text
        quattrocento unna volkhov martel faustina petrona stix-two-text instrument-serif roboto-serif fraunces
        sorts-mill-goudy poly gfs-didot im-fell-english rufina lustria brawler esteban inika taviraj
        old-standard-tt
    """,
    "slab": """
        roboto-slab zilla-slab arvo rokkitt bitter aleo slabo-27px hepta-slab bree-serif besley
    """,
    "mono": """
        roboto-mono source-code-pro fira-mono ibm-plex-mono inconsolata pt-mono ubuntu-mono space-mono
        noto-sans-mono dm-mono jetbrains-mono cousine overpass-mono red-hat-mono anonymous-pro b612-mono
        victor-mono cascadia-code azeret-mono fragment-mono spline-sans-mono commit-mono sometype-mono
        dejavu-mono ia-writer-mono nanum-gothic-coding
    """,
    "condensed": """
        roboto-condensed pt-sans-narrow barlow-condensed ibm-plex-sans-condensed fira-sans-condensed
        ubuntu-condensed archivo-narrow asap-condensed saira-condensed oswald encode-sans-condensed
        yanone-kaffeesatz fjalla-one antonio khand libre-caslon-condensed
    """,
    "receipt": """
        vt323 courier-prime special-elite share-tech-mono dotgothic16 jersey-10 pixelify-sans unifontex
        kode-mono
    """,
    "hand": """
        caveat patrick-hand kalam handlee architects-daughter indie-flower gochi-hand schoolbell comic-neue
        courgette delius neucha short-stack shantell-sans
    """,
    "display": """
        lobster righteous comfortaa audiowide abril-fatface alfa-slab-one fredoka oxanium limelight pacifico
    """,
}
# (Debian package, kind): file stems
DEBIAN_FACES = {
    ("fonts-3270", "receipt"): "3270-Regular 3270SemiCondensed-Regular",
    ("fonts-adf-accanthis", "serif"): "AccanthisADFStd-Regular AccanthisADFStd-Bold",
    ("fonts-adf-baskervald", "serif"): "BaskervaldADFStd BaskervaldADFStd-Bold",
    ("fonts-adf-gillius", "sans"): "GilliusADF-Regular GilliusADF-Bold",
    ("fonts-adf-gillius", "condensed"): "GilliusADF-Cond GilliusADF-BoldCond",
    ("fonts-adf-romande", "serif"): "RomandeADFStd-Regular RomandeADFStd-DemiBold",
    ("fonts-adf-universalis", "sans"): "UniversalisADFStd-Regular UniversalisADFStd-Bold",
    ("fonts-adf-universalis", "condensed"): "UniversalisADFStd-Cond",
    ("fonts-agave", "mono"): "agave-r-autohinted agave-b-autohinted",
    ("fonts-averia-sans-gwf", "sans"): "AveriaSansGWF-Regular AveriaSansGWF-Bold",
    ("fonts-averia-serif-gwf", "serif"): "AveriaSerifGWF-Regular",
    ("fonts-essays1743", "serif"): "Essays1743",
    ("fonts-fanwood", "serif"): "Fanwood Fanwood-Italic",
    ("fonts-glasstty", "receipt"): "Glass_TTY_VT220",
    ("fonts-go", "sans"): "Go-Regular Go-Bold Go-Italic",
    ("fonts-go", "mono"): "Go-Mono Go-Mono-Bold",
    ("fonts-goudybookletter", "serif"): "GoudyBookletter1911",
    ("fonts-hermit", "mono"): "Hermit-medium Hermit-bold",
    ("fonts-karmilla", "sans"): "Karmilla-Regular",
    ("fonts-league-mono", "mono"): "LeagueMono-Regular LeagueMono-NarrowRegular LeagueMono-Bold",
    ("fonts-liberation", "condensed"): "LiberationSansNarrow-Regular LiberationSansNarrow-Bold",
    ("fonts-linuxlibertine", "serif"): "LinLibertine_R LinLibertine_RB LinLibertine_RI",
    ("fonts-linuxlibertine", "sans"): "LinBiolinum_R LinBiolinum_RB",
    ("fonts-lmodern", "serif"): "lmroman10-regular lmroman10-bold lmroman10-italic",
    ("fonts-lmodern", "sans"): "lmsans10-regular lmsans10-bold",
    ("fonts-lmodern", "receipt"): "lmmono10-regular lmmonolt10-bold",
    ("fonts-monofur", "mono"): "monof55",
    ("fonts-mononoki", "mono"): "mononoki-Regular mononoki-Bold",
    ("fonts-ocr-a", "receipt"): "OCRA OCRABold",
    ("fonts-ocr-b", "receipt"): "OCRB",
    ("fonts-osifont", "sans"): "osifont",
    ("fonts-pc", "receipt"): "Px_IBM_MDA Px_IBM_VGA9 Px_AmstradPC1512-2y",
    ("fonts-prociono", "serif"): "Prociono",
    ("fonts-proggy", "receipt"): "ProggyTiny",
    ("fonts-routed-gothic", "sans"): "routed-gothic routed-gothic-wide",
    ("fonts-routed-gothic", "condensed"): "routed-gothic-narrow",
    ("fonts-sil-andika", "sans"): "Andika-Regular Andika-Bold",
    ("fonts-sil-charis", "serif"): "CharisSIL-Regular CharisSIL-Bold CharisSIL-Italic",
    ("fonts-sil-doulos", "serif"): "DoulosSIL-Regular",
    ("fonts-spleen", "receipt"): "spleen-12x24 spleen-8x16",
    ("fonts-texgyre", "sans"): "texgyreheros-regular texgyreheros-bold texgyreheros-italic texgyreadventor-regular texgyreadventor-bold",
    ("fonts-texgyre", "condensed"): "texgyreheroscn-regular texgyreheroscn-bold",
    ("fonts-texgyre", "mono"): "texgyrecursor-regular texgyrecursor-bold",
    ("fonts-texgyre", "serif"): """texgyretermes-regular texgyretermes-bold texgyretermes-italic texgyrepagella-regular texgyrebonum-regular
        texgyreschola-regular texgyreschola-bold""",
    ("fonts-tlwg-typewriter-ttf", "receipt"): "TlwgTypewriter TlwgTypewriter-Bold",
    ("fonts-tuffy", "sans"): "Tuffy Tuffy_Bold",
}
# Families are split by their first word; these first words name the design of another family.
RELATIVES = {
    "arimo": "liberation",
    "assistant": "source",
    "carlito": "lato",
    "cousine": "liberation",
    "ia": "ibm",
    "karmilla": "karla",
    "ocra": "ocr",
    "ocrabold": "ocr",
    "open": "noto",
    "public": "libre",
    "tinos": "liberation",
}

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
KEPT = [*range(0x20, 0x7F), *range(0xA0, 0x100), *map(ord, "–—‘’‚“”„†•…‹›€£™−×÷")]
_DROPPED_TABLES = [
    "GSUB",
    "GPOS",
    "GDEF",
    "BASE",
    "kern",
    "DSIG",
    "MATH",
    "JSTF",
    "FFTM",
    "meta",
    "prep",
    "fpgm",
    "cvt ",
    "gasp",
    "hdmx",
    "LTSH",
    "VDMX",
]


@dataclass(frozen=True)
class SourceFace:
    """A face as its package holds it."""

    data: bytes
    stem: str
    family: str
    kind: str
    weight: int
    italic: bool


def npm_faces(members: dict[str, bytes], name: str, family: str, kind: str) -> Iterator[SourceFace]:
    """Regular and bold of a @fontsource package, plus the italic of text kinds; `members` maps archive names to bytes."""

    def file(weight: int, style: str) -> bytes | None:
        return members.get(f"package/files/{name}-latin-{weight}-{style}.woff2")

    weights = [weight for weight in (400, 500, 300) if file(weight, "normal")][:1]
    weights += [weight for weight in (700, 600, 800) if file(weight, "normal")][:1]
    styles = [(weight, "normal") for weight in weights]
    if kind in ("sans", "serif") and file(400, "italic") and (kind == "serif" or len(name) % 3 == 0):
        styles.append((400, "italic"))
    for weight, style in styles:
        data = file(weight, style)
        assert data is not None
        yield SourceFace(data, f"{name}-{weight}{'i' if style == 'italic' else ''}", family, kind, weight, style == "italic")


def debian_faces(folder: Path, package: str) -> Iterator[SourceFace]:
    """The chosen faces of an unpacked Debian package; family, weight and slant are read from the font."""
    for (source, kind), stems in DEBIAN_FACES.items():
        for stem in stems.split() if source == package else ():
            paths = sorted(path for ending in ("ttf", "otf") for path in folder.rglob(f"{stem}.{ending}"))
            if not paths:
                raise FileNotFoundError(f"the Debian package {package} holds no face {stem}; the table DEBIAN_FACES needs a new name")
            data = paths[0].read_bytes()
            font = TTFont(io.BytesIO(data))
            family = font["name"].getDebugName(16) or font["name"].getDebugName(1) or stem
            # Some faces say 400 although they are bold; their file names tell the truth.
            weight = 700 if "bold" in stem.lower() or stem.endswith("RB") else 400
            yield SourceFace(data, stem.lower(), family, kind, weight, "italic" in stem.lower() or stem.endswith("RI"))


def family_stem(family: str) -> str:
    """The key by which families are split: "PT Sans" and "PT Serif" both give "pt"."""
    first = family.lower().replace("_", " ").split()[0]
    return RELATIVES.get(first, first)


def subset_face(data: bytes) -> tuple[bytes, str]:
    """Latin-1 subset without hinting and layout tables; returns the file's bytes and its ending, "ttf" or "otf"."""
    options = subset.Options(
        hinting=False, layout_features=[], desubroutinize=True, notdef_outline=True, name_IDs=[1, 2], legacy_kern=False
    )
    options.drop_tables += _DROPPED_TABLES
    font = TTFont(io.BytesIO(data), recalcTimestamp=False)
    font.flavor = None
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=KEPT)
    subsetter.subset(font)
    out = io.BytesIO()
    font.save(out)
    return out.getvalue(), "otf" if "CFF " in font else "ttf"


def complaint(data: bytes) -> str | None:
    """Why a face cannot be used to teach reading, or None: missing or empty glyphs, equal glyphs, capitals for small letters."""
    known = TTFont(io.BytesIO(data)).getBestCmap()
    if missing := [char for char in map(chr, range(0x21, 0x7F)) if ord(char) not in known]:
        return f"lacks {''.join(missing)}"
    font = ImageFont.truetype(io.BytesIO(data), 40, layout_engine=ImageFont.Layout.BASIC)
    shapes = {char: _shape(font, char) for char in LETTERS_AND_DIGITS + ".,:-$%"}
    if empty := [char for char, shape in shapes.items() if shape is None]:
        return f"draws nothing for {''.join(empty)}"
    # l, I, 1 and 0, O are one shape in many honest faces; no other two are.
    first: dict[tuple[tuple[int, int], bytes], str] = {}
    for char in sorted({*string.ascii_lowercase, *string.digits} - {*"l10"}):
        mask = font.getmask(char)
        same = first.setdefault((mask.size, bytes(mask)), char)
        if same != char:
            return f"draws {same} and {char} alike"
    capitals = [char for char in "abdeghnqrt" if _overlap(shapes[char], shapes[char.upper()]) > 0.86]
    return f"has capitals for {''.join(capitals)}" if len(capitals) >= 4 else None


def _shape(font: ImageFont.FreeTypeFont, char: str) -> np.ndarray | None:
    """The inked box of a glyph, stretched to 24 x 24, as booleans; None without ink."""
    mask = font.getmask(char, mode="L")
    image = Image.frombytes("L", mask.size, bytes(mask)) if mask.size[0] and mask.size[1] else None
    box = image.getbbox() if image else None
    if image is None or box is None:
        return None
    return np.asarray(image.crop(box).resize((24, 24))) > 100


def _overlap(a: np.ndarray | None, b: np.ndarray | None) -> float:
    if a is None or b is None:
        return 0.0
    return float((a & b).sum() / max(1, (a | b).sum()))
