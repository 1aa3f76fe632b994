"""Build the data pack: fetch packages, take faces and text out of them, split, check, write.

    python -m kimi_vl.training.synth.sources.build .data/pack [--scratch FOLDER]
    python -m kimi_vl.training.synth.sources.build .data/pack --add icons web    # into a pack that is there

Needs `npm`, `apt-get` and `dpkg` and a few minutes; icons and web pages are drawn by Chromium through
Playwright. Everything is sorted and seeded: the same package versions give the same pack, byte for byte, and pack.json records them.
"""

import argparse
import hashlib
import json
import logging
import lzma
import multiprocessing
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from PIL import Image

from kimi_vl.training.synth.pack import FORMAT, ICON_INDEX, SPLITS, DataPack, contents_digest, page_index, text_file
from kimi_vl.training.synth.sources import fonts, icons, lists, prose, web, web_grammars
from kimi_vl.training.synth.sources.browser import browser_page, screenshot
from kimi_vl.training.synth.sources.offence import inoffensive

WORD_PACKAGE = "wamerican-huge"
MAX_PROSE_BYTES = 4_000_000  # of one package, so that no single book sets the tone
FAMILY_SHARES = (70, 10, 20)
TEXT_SHARES = (80, 5, 15)
# 60 and 2 of each grammar. Of 288 pages nano learned the pages by heart: 33 % of its points in another program's pages were right.
PAGES = {"train": 1440, "val": 48}
Addition = Callable[[Path, Path], list[dict]]  # (staging, scratch) -> sources
PAGE_QUALITY = 70  # of WebP: about 11 KB a page
_drawing: dict[str, Any] = {}  # of a process that draws pages: its browser's page, the pack, where to write
_drawing_stack = ExitStack()  # closes the browser with the process
_WORD = re.compile(r"[A-Za-z]{2,16}(?:'[a-z]{1,2})?")
_SURNAME = re.compile(r"[A-Z][a-z]{3,10}")


def split_of(key: str, shares: tuple[int, int, int]) -> str:
    """train, val or test, in proportion to `shares` (percent), from the sha256 of `key` alone."""
    percent = int.from_bytes(hashlib.sha256(f"kimi-vl pack:{key}".encode()).digest()[:8], "big") / 2**64 * 100
    return SPLITS[0] if percent < shares[0] else SPLITS[1] if percent < shares[0] + shares[1] else SPLITS[2]


def family_split(family: str) -> str:
    """The split of a font family and of all its relatives (same first word, or one design under two names)."""
    # 307 was searched for: with it every kind of face has two families or more in test and one or more in val.
    return split_of(f"family 307 {fonts.family_stem(family)}", FAMILY_SHARES)


def build(folder: Path, scratch: Path) -> None:
    """Write the pack into `folder` (replaced if it exists); downloads stay in `scratch`."""
    staging = folder.with_name(folder.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    (staging / "fonts").mkdir(parents=True)
    (staging / "text").mkdir()
    text_packages = [WORD_PACKAGE, *sorted(prose.DOCUMENTS)]
    font_packages = sorted({package for package, _ in fonts.DEBIAN_FACES})
    unpacked = fetch_debian([*text_packages, *font_packages], scratch / "debian")
    archives = fetch_npm(sorted(name for names in fonts.NPM_FAMILIES.values() for name in names.split()), scratch / "npm")
    faces, npm_sources = write_faces(staging, archives, {package: unpacked[package] for package in font_packages})
    write_text(staging, unpacked)
    sources = npm_sources + [debian_source(package, unpacked[package]) for package in sorted(unpacked)]
    extend(staging, faces, sources, ADDITIONS.values(), scratch)
    put_in_place(staging, folder)


def add(folder: Path, steps: list[str], scratch: Path) -> None:
    """Do some of ADDITIONS again in the pack at `folder`; everything else in it stays byte for byte."""
    staging = folder.with_name(folder.name + ".new")
    shutil.rmtree(staging, ignore_errors=True)
    shutil.copytree(folder, staging)
    index = json.loads((staging / "pack.json").read_text(encoding="utf-8"))
    for name in steps:
        shutil.rmtree(staging / name, ignore_errors=True)
    extend(staging, index["faces"], index["sources"], [ADDITIONS[name] for name in steps], scratch)
    put_in_place(staging, folder)


def extend(staging: Path, faces: list[dict], sources: list[dict], steps: Iterable[Addition], scratch: Path) -> None:
    """Do the steps and write the index anew after each, since a step uses what was there before it: pages hold icons and text."""
    known = {source["name"]: source for source in sources}
    write_index(staging, faces, list(known.values()))
    for step in steps:
        known |= {source["name"]: source for source in step(staging, scratch)}
        write_index(staging, faces, list(known.values()))


def put_in_place(staging: Path, folder: Path) -> None:
    """Check the new pack and let it take the place of the old."""
    check_disjoint(DataPack.load(staging))
    shutil.rmtree(folder, ignore_errors=True)
    staging.rename(folder)
    report(folder)


def add_icons(staging: Path, scratch: Path) -> list[dict]:
    """Draw every set of icons as one WebP; returns their sources."""
    (staging / "icons").mkdir()
    archives = fetch_npm(list(icons.PACKAGES), scratch / "npm", scope="iconify-json")
    drawings = {package: icons.Drawings(archives[package]) for package in icons.PACKAGES}
    listed = []
    with browser_page(icons.SIDE * icons.COLUMNS, icons.SIDE) as page:
        for source in icons.SOURCES:
            html, names = icons.atlas_page(source, drawings[source.package])
            name = f"icons/{source.kind}-{source.name}.webp"
            (staging / name).write_bytes(icons.encoded(source, screenshot(page, html, transparent=True)))
            listed.append({"file": name, "name": source.name, "kind": source.kind, "split": source.split, "names": names})
    lines = [json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in listed]
    (staging / ICON_INDEX).write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    return [drawings[package].source() for package in icons.PACKAGES]


def add_web(staging: Path, scratch: Path) -> list[dict]:
    """Draw web pages for train and val, filled with the pack's own text, by as many browsers as there are cores; no new sources."""
    (staging / "web").mkdir()
    tasks = [(split, k) for split, count in PAGES.items() for k in range(count)]
    with multiprocessing.get_context("spawn").Pool(initializer=open_browser, initargs=(staging,)) as pool:
        drawn = pool.starmap(draw_page, tasks, chunksize=4)
    for split in PAGES:
        listed = [facts for (of, _), facts in zip(tasks, drawn, strict=True) if of == split]
        data = json.dumps(listed, ensure_ascii=False, separators=(",", ":")).encode()
        (staging / page_index(split)).write_bytes(lzma.compress(data, preset=9))
    return []


def open_browser(staging: Path) -> None:
    """Begin a process that draws pages."""
    logging.getLogger("fontTools").setLevel(logging.ERROR)
    _drawing["staging"], _drawing["pack"] = staging, DataPack.load(staging)
    _drawing["page"] = _drawing_stack.enter_context(browser_page(800, 600))


def draw_page(split: str, k: int) -> dict[str, Any]:
    """Draw page k of a split into the folder that `open_browser` was given; returns what is known of it."""
    grammars = list(web_grammars.GRAMMARS.items())
    picture, facts = web.draw_fitting(
        _drawing["page"], f"web/{split}/{k}", _drawing["pack"], split, grammars[k % len(grammars)], web_grammars.THEMES, varied=True
    )
    name = f"web/{split}-{k:04d}.webp"
    Image.fromarray(picture).save(_drawing["staging"] / name, "WEBP", quality=PAGE_QUALITY, method=6)
    return {"file": name} | facts


def fetch_debian(packages: list[str], folder: Path) -> dict[str, Path]:
    """Download and unpack Debian packages (never installed); returns the folder of each."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages if not list(folder.glob(f"{package}_*.deb"))]
    if missing:
        subprocess.run(["apt-get", "download", "-qq", *missing], cwd=folder, check=True)
    unpacked = {}
    for package in packages:
        unpacked[package] = folder / package
        if not unpacked[package].is_dir():
            subprocess.run(["dpkg", "-x", str(next(folder.glob(f"{package}_*.deb"))), str(unpacked[package])], check=True)
    return unpacked


def fetch_npm(names: list[str], folder: Path, scope: str = "fontsource") -> dict[str, Path]:
    """Download packages of a scope, 20 per call; returns the archive of each."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in names if not _archive(folder, f"{scope}-{name}")]
    for start in range(0, len(missing), 20):
        specs = [f"@{scope}/{name}" for name in missing[start : start + 20]]
        subprocess.run(["npm", "pack", "--silent", *specs], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return {name: archive for name in names if (archive := _archive(folder, f"{scope}-{name}"))}


def _archive(folder: Path, stem: str) -> Path | None:
    found = [path for path in folder.glob(f"{stem}-*.tgz") if re.fullmatch(rf"{stem}-\d[\w.]*\.tgz", path.name)]
    return max(found, default=None)


def debian_source(package: str, unpacked: Path) -> dict[str, str]:
    """Name, version and licence (as its copyright file names it) of a Debian package."""
    archive = next(unpacked.parent.glob(f"{package}_*.deb"))
    copyright_file = unpacked / "usr/share/doc" / package / "copyright"
    text = copyright_file.read_text(encoding="utf-8", errors="replace") if copyright_file.is_file() else ""
    licences = dict.fromkeys(line.strip() for line in re.findall(r"^License:(.+)$", text, re.MULTILINE))
    licence = ", ".join(licences) or "see the package's copyright file"
    return {"name": package, "registry": "debian", "version": archive.name.split("_")[1].replace("%3a", ":"), "licence": licence}


def write_faces(staging: Path, archives: dict[str, Path], unpacked: dict[str, Path]) -> tuple[list[dict], list[dict]]:
    """Subset, check and write every face; returns the faces' table and the npm sources."""
    sources: list[dict] = []
    collected: list[fonts.SourceFace] = []
    for kind, names in fonts.NPM_FAMILIES.items():
        for name in names.split():
            with tarfile.open(archives[name]) as archive:
                members = {
                    member.name: file.read()
                    for member in archive.getmembers()
                    if re.search(r"-latin-\d+-\w+\.woff2$|(metadata|package)\.json$", member.name) and (file := archive.extractfile(member))
                }
            package = json.loads(members["package/package.json"])
            family = json.loads(members["package/metadata.json"])["family"]
            sources.append({"name": package["name"], "registry": "npm", "version": package["version"], "licence": package["license"]})
            collected.extend(fonts.npm_faces(members, name, family, kind))
    for package in unpacked:
        collected.extend(fonts.debian_faces(unpacked[package], package))
    faces = []
    for face in collected:
        data, ending = fonts.subset_face(face.data)
        if reason := fonts.complaint(data):
            print(f"left out {face.stem}: {reason}")
            continue
        name = f"fonts/{face.stem}.{ending}"
        (staging / name).write_bytes(data)
        split = family_split(face.family)
        faces.append({"file": name, "family": face.family, "kind": face.kind, "weight": face.weight, "italic": face.italic, "split": split})
    return sorted(faces, key=lambda face: face["file"]), sorted(sources, key=lambda source: source["name"])


def write_text(staging: Path, unpacked: dict[str, Path]) -> None:
    """Write words, prose, names and products of every split."""
    paragraphs = collect_prose(unpacked)
    frequency = Counter(word for paragraph in paragraphs["train"] for word in re.findall(r"[A-Za-z]+", paragraph))
    listed = (unpacked[WORD_PACKAGE] / "usr/share/dict/american-english-huge").read_text(encoding="utf-8").split()
    known = set(listed)
    listed = list(inoffensive(listed))
    words = sorted({word for word in listed if _WORD.fullmatch(word)}, key=lambda word: (-frequency[word], word))
    surnames = sorted({word for word in listed if _SURNAME.fullmatch(word) and word.lower() not in known})
    for split in SPLITS:
        # A word, its capitalised form and its possessive go together.
        write_lines(staging, "words", split, (word for word in words if _text_split(word.lower().split("'")[0]) == split))
        write_lines(staging, "prose", split, paragraphs[split])
        write_lines(staging, "names", split, inoffensive(lists.names(split, _text_split, surnames, {"train": 20_000}.get(split, 3_000))))
        write_lines(staging, "products", split, inoffensive(lists.products(split, _text_split, {"train": 12_000}.get(split, 1_500))))


def collect_prose(unpacked: dict[str, Path]) -> dict[str, list[str]]:
    """Paragraphs by split. A document belongs to one split; a sentence met twice stays where it was met first, test before train."""
    by_split: dict[str, list[tuple[str, list[str]]]] = {split: [] for split in SPLITS}
    for package in sorted(prose.DOCUMENTS):
        for name, texts in prose.documents(unpacked[package], package):
            by_split[_text_split(name)].append((package, texts))
    seen: set[str] = set()
    size: Counter[str] = Counter()
    kept: dict[str, list[str]] = {}
    for split in reversed(SPLITS):
        kept[split] = []
        for package, texts in by_split[split]:
            found = prose.paragraphs(texts, seen)
            if size[package] < MAX_PROSE_BYTES:
                kept[split].extend(found)
                size[package] += sum(map(len, found))
    return kept


def _text_split(key: str) -> str:
    return split_of(key, TEXT_SHARES)


def write_lines(staging: Path, name: str, split: str, lines: Iterable[str]) -> None:
    """One entry a line, UTF-8, xz: 4 times smaller, which a pack that travels needs."""
    data = "".join(f"{line}\n" for line in lines).encode()
    (staging / text_file(name, split)).write_bytes(lzma.compress(data, preset=9))


def write_index(staging: Path, faces: list[dict], sources: list[dict]) -> None:
    """Write pack.json, which lists all the rest."""
    paths = sorted(path for path in staging.rglob("*") if path.is_file() and path.name != "pack.json")
    files = {path.relative_to(staging).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    index = {"format": FORMAT, "digest": contents_digest(files, faces), "faces": faces, "sources": sources, "files": files}
    (staging / "pack.json").write_text(json.dumps(index, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def check_disjoint(pack: DataPack) -> None:
    """Raise ValueError if a family, word, sentence, name, article or set of icons is in two splits."""
    owner: dict[tuple[str, str], str] = {}
    for split in SPLITS:
        entries = {("family", fonts.family_stem(face.family)) for face in pack.faces(split)}
        entries |= {("word", word) for word in pack.words(split)}
        entries |= {("sentence", sentence) for paragraph in pack.prose(split) for sentence in prose.sentences(paragraph)}
        entries |= {("name", name) for name in pack.names(split)}
        entries |= {("article", product) for product in pack.products(split)}
        entries |= {("set of icons", hand.name) for hand in pack.icons(split)}
        for entry in entries:
            if owner.setdefault(entry, split) != split:
                raise ValueError(f"the {entry[0]} {entry[1]!r} is both in {owner[entry]} and in {split}; the splits leak")


def report(folder: Path) -> None:
    """Print what the pack holds."""
    pack = DataPack.load(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder}: {size / 1e6:.1f} MB, digest {pack.digest}")
    for split in SPLITS:
        faces = pack.faces(split)
        kinds = Counter(face.kind for face in faces)
        print(f"{split}: {len(faces)} faces of {len({face.family for face in faces})} families: {dict(sorted(kinds.items()))}")
        characters = sum(map(len, pack.prose(split))) / 1e6
        print(f"  {len(pack.words(split))} words, {len(pack.prose(split))} paragraphs of {characters:.1f} M characters,", end=" ")
        print(f"{len(pack.names(split))} names, {len(pack.products(split))} articles,", end=" ")
        hands = ", ".join(f"{hand.name} ({len(hand.names)} {hand.kind})" for hand in pack.icons(split))
        print(f"{len(pack.web_pages(split)) if split != 'test' else 0} web pages, icons of {hands}")


ADDITIONS: dict[str, Addition] = {"icons": add_icons, "web": add_web}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Build the data pack of fonts and text.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--add", nargs="+", choices=list(ADDITIONS), help="only put these into the pack that is there")
    parser.add_argument("--scratch", type=Path, help="keep the downloads here and use those already there")
    arguments = parser.parse_args()
    logging.getLogger("fontTools").setLevel(logging.ERROR)  # it tells of every table that a subset drops
    with tempfile.TemporaryDirectory() as temporary:
        folder, scratch = arguments.folder.resolve(), (arguments.scratch or Path(temporary)).resolve()
        if arguments.add:
            add(folder, arguments.add, scratch)
        else:
            build(folder, scratch)


if __name__ == "__main__":
    main()
