"""The data pack: fonts, words, icons and web pages that synthetic pictures are made of, already split into train, val and test.

A pack is a folder made by `python -m kimi_vl.training.synth.sources.build FOLDER`:

    pack.json                       faces, sources with versions and licences, sha256 of every file
    fonts/*.ttf, fonts/*.otf        Latin-1 subsets without hinting and layout tables
    text/{words,prose,names,products}.{train,val,test}.txt.xz     one entry a line, UTF-8
    icons/index.json, *.webp        sets of icons as atlases of tiles, with the tiles' names
    web/pages.{train,val}.json.xz   what a browser put where on each page; web/{train,val}-NNN.webp are their pictures

No font family, word, sentence or set of icons is in two splits, so a score on `test` measures reading and not memory. There
are no test pages: those are a set of their own, in benchmarks/web.
"""

import hashlib
import io
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from PIL import Image, ImageDraw, ImageFont

from kimi_vl.errors import InputError

SPLITS = ("train", "val", "test")
KINDS = ("sans", "serif", "mono", "slab", "condensed", "hand", "display", "receipt")
LISTS = ("words", "prose", "names", "products")
ICON_KINDS = ("things", "signs", "flags")
TILE = 64  # pixels: the side of an icon in its atlas
TILES_ACROSS = 16
FORMAT = "kimi-vl data pack 2"


ICON_INDEX = "icons/index.json"


@dataclass(frozen=True)
class Face:
    """One style of one font family; `path` None means the font that Pillow carries in itself."""

    path: Path | None
    family: str
    kind: str
    weight: int
    italic: bool

    def font(self, size: float) -> ImageFont.FreeTypeFont:
        """Open the face at `size` pixels per em, with the basic (one glyph after the other) layout."""
        if self.path is not None:
            return ImageFont.truetype(self.path, size, layout_engine=ImageFont.Layout.BASIC)
        font = ImageFont.load_default(size)
        assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
        return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


@dataclass(frozen=True, eq=False)
class IconSet:
    """Icons by one hand. `kind` is "things" (emoji), "signs" (of one ink: only opacity counts) or "flags" (named by country).

    `atlas` is an encoded picture with opacity: 64-pixel tiles in the order of `names`, 16 in a row.
    """

    name: str
    kind: str
    names: tuple[str, ...]
    atlas: bytes


@dataclass(frozen=True, eq=False)
class WebPage:
    """A page as a browser drew it: the encoded `picture`, and what `sources/web.py` recorded about it (`facts`)."""

    picture: bytes
    facts: Mapping[str, Any]


class DataPack:
    """Faces, text, icons and web pages by split. The lists are shared: do not change them.

    `digest` is the sha256 (hex) over the contents; a checkpoint records it, so that training resumes on the same data.
    """

    def __init__(
        self,
        faces: Mapping[str, list[Face]],
        text: Mapping[tuple[str, str], list[str]],
        digest: str,
        *,
        icons: Mapping[str, list[IconSet]] | None = None,
        pages: Mapping[str, list[WebPage]] | None = None,
    ) -> None:
        self._faces = faces
        self._text = text
        self._icons = icons or {split: [] for split in SPLITS}
        self._pages = pages or {split: [] for split in SPLITS}
        self.digest = digest

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read a pack folder (about 0.5 s, 100 MB of memory). Raises InputError when a file is missing or altered."""
        folder = Path(folder)
        index_path = folder / "pack.json"
        if not index_path.is_file():
            raise InputError(f"no data pack at {folder}; make one with: python -m kimi_vl.training.synth.sources.build {folder}")
        index = json.loads(index_path.read_text(encoding="utf-8"))
        if index.get("format") != FORMAT:
            raise InputError(f"{index_path} has format {index.get('format')!r}, this version reads {FORMAT!r}; build the pack again")
        for name, sha256 in index["files"].items():
            _check_file(folder, name, sha256)
        faces: dict[str, list[Face]] = {split: [] for split in SPLITS}
        for entry in index["faces"]:
            face = Face(folder / entry["file"], entry["family"], entry["kind"], entry["weight"], entry["italic"])
            faces[entry["split"]].append(face)
        text = {(name, split): _read_lines(folder / text_file(name, split)) for name in LISTS for split in SPLITS}
        digest = contents_digest(index["files"], index["faces"])
        return cls(faces, text, digest, icons=_read_icons(folder, index["files"]), pages=_read_pages(folder, index["files"]))

    @classmethod
    def builtin(cls) -> Self:
        """A tiny pack that needs no file: Pillow's own font in every split, and disjoint word lists."""
        face = Face(None, "Pillow", "sans", 400, False)
        digest = hashlib.sha256(json.dumps(sorted(_BUILTIN.items()), ensure_ascii=False).encode()).hexdigest()
        text = {(name, split): _BUILTIN[f"{name}.{split}"].split("|") for name in LISTS for split in SPLITS}
        icons = {split: [_tiny_icons(kind, split) for kind in ICON_KINDS] for split in SPLITS}
        return cls({split: [face] for split in SPLITS}, text, digest, icons=icons, pages={split: [_tiny_page()] for split in SPLITS})

    def faces(self, split: str) -> list[Face]:
        """Font faces; no family (nor a relative with the same first name) is in two splits of a built pack."""
        return self._faces[_known(split)]

    def words(self, split: str) -> list[str]:
        """Single English words of letters and apostrophes."""
        return self._text["words", _known(split)]

    def prose(self, split: str) -> list[str]:
        """Paragraphs of 1 to 6 sentences of plain English on one line, nearly all ASCII."""
        return self._text["prose", _known(split)]

    def names(self, split: str) -> list[str]:
        """Names of people, companies and streets."""
        return self._text["names", _known(split)]

    def products(self, split: str) -> list[str]:
        """Shop article names of 1 to 3 words."""
        return self._text["products", _known(split)]

    def icons(self, split: str) -> list[IconSet]:
        """Sets of icons, of each of ICON_KINDS at least one. Sets for training may lack names. Raises InputError without."""
        if not self._icons[_known(split)]:
            raise InputError(
                "this data pack has no icons; add them with: python -m kimi_vl.training.synth.sources.build FOLDER --add icons"
            )
        return self._icons[split]

    def web_pages(self, split: str) -> list[WebPage]:
        """Pages for "train" or "val"; of "test" there are none in a pack, there those of "val" are given. Raises InputError without."""
        pages = self._pages["val" if _known(split) == "test" else split]
        if not pages:
            raise InputError(
                "this data pack has no web pages; add them with: python -m kimi_vl.training.synth.sources.build FOLDER --add web"
            )
        return pages


def text_file(name: str, split: str) -> str:
    """Where a list lives inside the pack folder."""
    return f"text/{name}.{split}.txt.xz"


def page_index(split: str) -> str:
    """Where the facts of a split's web pages live inside the pack folder."""
    return f"web/pages.{split}.json.xz"


def contents_digest(files: Mapping[str, str], faces: list[dict]) -> str:
    """sha256 (hex) over what is drawn from: the files' own digests and the faces' table, in the order that is indexed."""
    return hashlib.sha256(json.dumps([sorted(files.items()), faces], sort_keys=True).encode()).hexdigest()


def _known(split: str) -> str:
    if split not in SPLITS:
        raise InputError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    return split


def _check_file(folder: Path, name: str, sha256: str) -> None:
    path = folder / name
    if not path.is_file():
        raise InputError(f"the data pack at {folder} lacks {name}; build or copy it again")
    if hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
        raise InputError(f"{path} is not the file that pack.json lists (sha256 differs); build or copy the pack again")


def _read_lines(path: Path) -> list[str]:
    return lzma.decompress(path.read_bytes()).decode("utf-8").splitlines()


def _read_icons(folder: Path, files: Mapping[str, str]) -> dict[str, list[IconSet]]:
    sets: dict[str, list[IconSet]] = {split: [] for split in SPLITS}
    if ICON_INDEX in files:
        for entry in json.loads((folder / ICON_INDEX).read_text(encoding="utf-8")):
            atlas = (folder / entry["file"]).read_bytes()
            sets[entry["split"]].append(IconSet(entry["name"], entry["kind"], tuple(entry["names"]), atlas))
    return sets


def _read_pages(folder: Path, files: Mapping[str, str]) -> dict[str, list[WebPage]]:
    pages: dict[str, list[WebPage]] = {split: [] for split in SPLITS}
    for split in SPLITS:
        if page_index(split) in files:
            listed = json.loads(lzma.decompress((folder / page_index(split)).read_bytes()))
            pages[split] = [WebPage((folder / facts["file"]).read_bytes(), facts) for facts in listed]
    return pages


def _tiny_icons(kind: str, split: str) -> IconSet:
    """Two things, signs or flags, drawn a little differently for each split."""
    inset = 6 + 3 * SPLITS.index(split)
    atlas = Image.new("RGBA", (TILE * TILES_ACROSS, TILE))
    draw = ImageDraw.Draw(atlas)
    box = (inset, inset, TILE - inset, TILE - inset)
    if kind == "flags":
        draw.rectangle((4, 14, 60, 50), "white")
        draw.rectangle((4, 14, 60, 32), (0, 85, 164, 255))
        draw.rectangle((68, 14, 124, 50), (206, 17, 38, 255))
        draw.rectangle((92, 14, 100, 50), "white")
    else:
        draw.ellipse(box, (230, 160, 40, 255), "black", 3)
        draw.polygon([(TILE + inset, TILE - inset), (TILE * 2 - inset, TILE - inset), (TILE * 3 // 2, inset)], (70, 140, 60, 255), "black")
    names = {"things": ("orange", "tent"), "signs": ("circle", "warning"), "flags": ("Blueland", "Redland")}[kind]
    data = io.BytesIO()
    atlas.save(data, "PNG")
    return IconSet(f"tiny {split}", kind, names, data.getvalue())


def _tiny_page() -> WebPage:
    """A headline, a link and a button, drawn with Pillow's own font."""
    picture = Image.new("RGB", (336, 168), "white")
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(20)
    draw.rectangle((20, 100, 140, 136), (210, 225, 250), "black")
    words = []
    for text, x, baseline, ink in (
        ("Opening", 20, 40, "black"),
        ("Hours", 110, 40, "black"),
        ("Prices", 20, 80, "blue"),
        ("Save", 50, 125, "black"),
    ):
        draw.text((x, baseline), text, ink, font, anchor="ls")
        words.append([text, x, x + round(font.getlength(text)), baseline - 5])
    items = [
        {"role": "title", "label": "Opening Hours", "text": "Opening Hours", "box": [20, 24, 170, 44]},
        {"role": "link", "label": "Prices", "text": "Prices", "box": [20, 64, 80, 84]},
        {"role": "button", "label": "Save", "text": "Save", "box": [20, 100, 141, 137], "enabled": True},
    ]
    data = io.BytesIO()
    picture.save(data, "PNG")
    facts = {"grammar": "tiny", "width": 336, "height": 168, "x_height": 10.0, "words": words, "items": items}
    return WebPage(data.getvalue(), facts)


_BUILTIN = {
    "words.train": "apple|river|paper|window|garden|yellow|market|silver|button|coffee|travel|number|letter|summer|picture|kitchen"
    "|bridge|candle|doctor|engine|flower|guitar|hammer|island|jacket|ladder|mirror|needle|orange|pencil",
    "words.val": "rocket|saddle|ticket|velvet|walnut|zipper|basket|carpet|dragon|forest|glacier|helmet",
    "words.test": "anchor|bottle|camera|desert|eleven|fossil|gravel|harbor|insect|jungle|kettle|lantern",
    "prose.train": "The shop opens at nine in the morning.|A letter arrived on Friday. Nobody had opened it before the summer."
    "|Water boils when it is hot enough. It then turns into steam, which rises.|Please keep the paper for your records."
    "|They walked along the river until the bridge. There was no one on the other side.|The garden is closed in winter.",
    "prose.val": "The carpet was sold within a week. It had been far too large.|A forest of old trees covers the hill."
    "|Every ticket has a number on its back. Show it at the door.",
    "prose.test": "The camera stood in the harbor for a year. Its pictures are lost.|Gravel is sold by weight."
    "|The kettle needs five minutes. Do not leave it alone.",
    "names.train": "Anna Miller|Peter Stone|Maria Lopez|Northwind Ltd|Oak Street|Bluebird Trading|David Chen|Mill Lane|Clara Hoffmann",
    "names.val": "Ruth Barker|Omar Haddad|Eastgate Foods|Chapel Road|Quarry Tools Inc",
    "names.test": "Simon Fletcher|Ingrid Dahl|Westfield Supply|Castle Hill|Lena Novak",
    "products.train": "Milk|Brown Bread|Butter|Green Tea|Tomatoes|Steel Screws|Paper Clips|Olive Oil|Red Apples|Cheese|Light Bulb|Soap",
    "products.val": "Espresso|Wood Glue|Carrots|Sugar|Wall Paint|Honey",
    "products.test": "Cappuccino|Copper Wire|Onions|Flour|Note Pad|Yogurt",
}
