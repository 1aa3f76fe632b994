"""The data pack: what is drawn from, how it is split, and the raw material it is made of."""

import io
import json
import lzma
import shutil
import string
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont
from PIL import ImageFont

from kimi_vl.errors import InputError
from kimi_vl.training.synth.pack import ICON_INDEX, ICON_KINDS, KINDS, SPLITS, DataPack, page_index
from kimi_vl.training.synth.sources import build, fonts, lists, prose

LISTS: list[Callable[[DataPack, str], list[str]]] = [DataPack.words, DataPack.prose, DataPack.names, DataPack.products]


def pillow_font() -> bytes:
    """The TrueType file that Pillow carries in itself."""
    return ImageFont.load_default(20).font_bytes


def page(number: int) -> str:
    sentences = [f"The {word} of page {number} was written with a {word} in hand." for word in ("pencil", "letter", "ribbon", "window")]
    shared = "This sentence stands on every page of the manual."
    return (
        f"<html><head><title>Nothing</title></head><body><p>{' '.join(sentences)}</p><p>{shared}</p><pre>Not This Code.</pre></body></html>"
    )


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, Path]:
    """Unpacked Debian packages as the builder finds them: a word list and one manual of 200 pages."""
    root = tmp_path_factory.mktemp("debian")
    unpacked = {package: root / package for package in (build.WORD_PACKAGE, *prose.DOCUMENTS)}
    words = unpacked[build.WORD_PACKAGE] / "usr/share/dict/american-english-huge"
    words.parent.mkdir(parents=True)
    stems = [a + b for a in ("lan", "ber", "tor", "min", "sul") for b in (c + d for c in "aeiou" for d in "bdgklmnprst")]
    words.write_text("\n".join([*stems, *(f"{stem}'s" for stem in stems), *(f"{stem.capitalize()}son" for stem in stems), "naïve", "x"]))
    manual = unpacked["sqlite3-doc"] / "usr/share/doc/sqlite3"
    manual.mkdir(parents=True)
    for number in range(200):
        (manual / f"page{number}.html").write_text(page(number), encoding="utf-8")
    return unpacked


@pytest.fixture(scope="module")
def folder(sources, tmp_path_factory) -> Path:
    """A whole pack of three faces and the text of `sources`."""
    folder = tmp_path_factory.mktemp("pack")
    (folder / "fonts").mkdir()
    (folder / "text").mkdir()
    data, ending = fonts.subset_face(pillow_font())
    faces = []
    for split in SPLITS:
        (folder / f"fonts/{split}.{ending}").write_bytes(data)
        faces.append({"file": f"fonts/{split}.{ending}", "family": split, "kind": "sans", "weight": 400, "italic": False, "split": split})
    build.write_text(folder, sources)
    build.write_index(folder, faces, [{"name": "sqlite3-doc", "registry": "debian", "version": "3", "licence": "public domain"}])
    return folder


@pytest.mark.parametrize("entries", LISTS)
def test_no_entry_of_the_builtin_pack_is_in_two_splits(entries):
    pack = DataPack.builtin()
    sets = [set(entries(pack, split)) for split in SPLITS]
    assert all(sets)
    assert len(sets[0] | sets[1] | sets[2]) == sum(map(len, sets))


@pytest.mark.parametrize("entries", LISTS)
def test_no_entry_of_a_built_pack_is_in_two_splits(folder, entries):
    sets = [set(entries(DataPack.load(folder), split)) for split in SPLITS]
    assert all(sets)
    assert len(sets[0] | sets[1] | sets[2]) == sum(map(len, sets))


def test_no_sentence_of_a_built_pack_is_in_two_splits_even_if_every_document_has_it(folder):
    pack = DataPack.load(folder)
    text = {split: " ".join(pack.prose(split)) for split in SPLITS}
    assert sum(text[split].count("This sentence stands on every page") for split in SPLITS) == 1
    pages = {split: {word for word in text[split].split() if word.isdigit()} for split in SPLITS}
    assert len(pages["train"] | pages["val"] | pages["test"]) == sum(map(len, pages.values())) == 200


def test_no_surname_and_no_article_noun_is_in_two_splits(folder):
    pack = DataPack.load(folder)
    last = [{name.split()[-1] for name in pack.names(split)} - {*lists.items(lists.COMPANY_KINDS)} for split in SPLITS]
    last = [words - {*lists.items(lists.STREET_KINDS), "Sons", "Daughters", "Roasters"} for words in last]
    assert len(last[0] | last[1] | last[2]) == sum(map(len, last))
    nouns = lists.items(",".join((lists.GROCERIES, lists.CAFE, lists.HARDWARE, lists.STATIONERY)))
    for noun in nouns:
        assert sum(noun in pack.products(split) for split in SPLITS) == 1, noun


def test_words_of_a_built_pack_start_with_the_most_frequent_and_keep_possessives_with_their_word(folder):
    pack = DataPack.load(folder)
    owners = {word: split for split in SPLITS for word in pack.words(split)}
    assert "naïve" not in owners
    assert "x" not in owners
    assert all(owners[word.removesuffix("'s")] == split for word, split in owners.items() if word.endswith("'s"))
    shares = [len(pack.words(split)) / len(owners) for split in SPLITS]
    assert shares == pytest.approx([0.80, 0.05, 0.15], abs=0.06)


def test_the_same_sources_give_the_same_digest(sources, folder, tmp_path):
    (tmp_path / "text").mkdir()
    build.write_text(tmp_path, sources)
    for path in sorted((folder / "text").iterdir()):
        assert (tmp_path / "text" / path.name).read_bytes() == path.read_bytes()


def test_a_loaded_face_draws_text_of_the_size_asked_for(folder):
    (face,) = DataPack.load(folder).faces("test")
    assert face.kind in KINDS
    assert face.font(20).getbbox("Hag") == ImageFont.load_default(20).getbbox("Hag")
    assert face.font(40).getlength("Hag") == pytest.approx(2 * face.font(20).getlength("Hag"), rel=0.1)


def test_the_builtin_face_needs_no_file_and_draws(folder):
    (face,) = DataPack.builtin().faces("val")
    assert face.path is None
    assert face.font(24).getmask("a").getbbox() is not None


def test_an_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match="no split 'dev'; there are train, val, test"):
        DataPack.builtin().words("dev")


def test_a_missing_pack_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(InputError, match=r"synth\.sources\.build"):
        DataPack.load(tmp_path)


def test_an_altered_or_lost_file_of_a_pack_is_found(folder, tmp_path):
    copy = tmp_path / "pack"
    for path in folder.rglob("*.*"):
        (copy / path.relative_to(folder)).parent.mkdir(parents=True, exist_ok=True)
        (copy / path.relative_to(folder)).write_bytes(path.read_bytes())
    font = copy / "fonts/train.ttf"
    font.write_bytes(font.read_bytes()[:-1])
    with pytest.raises(InputError, match=r"train\.ttf is not the file"):
        DataPack.load(copy)
    font.unlink()
    with pytest.raises(InputError, match=r"lacks fonts/train\.ttf"):
        DataPack.load(copy)


def test_the_digest_changes_with_a_word_and_with_a_split(folder, tmp_path):
    index = json.loads((folder / "pack.json").read_text(encoding="utf-8"))
    digest = DataPack.load(folder).digest
    assert digest == index["digest"]
    assert digest != build.contents_digest(index["files"] | {"text/words.val.txt.xz": "0" * 64}, index["faces"])
    assert digest != build.contents_digest(index["files"], [face | {"split": "train"} for face in index["faces"]])


def test_a_pack_of_another_format_is_refused(folder, tmp_path):
    index = json.loads((folder / "pack.json").read_text(encoding="utf-8")) | {"format": "kimi-vl data pack 0"}
    (tmp_path / "pack.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match="kimi-vl data pack 0"):
        DataPack.load(tmp_path)


def test_a_leak_between_splits_stops_the_build():
    pack = DataPack.builtin()
    pack.words("test").append(pack.words("train")[0])
    # The builtin pack has its one font in every split, which is the first leak to be met.
    with pytest.raises(ValueError, match="family 'pillow' is both in train and in val"):
        build.check_disjoint(pack)
    leaking = DataPack({split: [] for split in SPLITS}, pack._text, "", icons=pack._icons)
    with pytest.raises(ValueError, match="word 'apple' is both in train and in test"):
        build.check_disjoint(leaking)


def test_every_split_of_the_builtin_pack_has_icons_of_every_kind_by_a_hand_of_its_own():
    hands = [DataPack.builtin().icons(split) for split in SPLITS]
    assert all({icons.kind for icons in sets} == set(ICON_KINDS) for sets in hands)
    names = [{icons.name for icons in sets} for sets in hands]
    assert len(names[0] | names[1] | names[2]) == sum(map(len, names))
    for kind in ICON_KINDS:
        assert len({icons.names for sets in hands for icons in sets if icons.kind == kind}) == 1


def with_extras(folder: Path, copy: Path) -> Path:
    """The pack with a set of icons per split and a web page for training, as the build's additions leave them."""
    shutil.copytree(folder, copy)
    tiny, (page,) = DataPack.builtin(), DataPack.builtin().web_pages("train")
    (copy / "icons").mkdir()
    (copy / "web").mkdir()
    listed = []
    for split in SPLITS:
        (icons,) = (icons for icons in tiny.icons(split) if icons.kind == "signs")
        (copy / f"icons/{split}.webp").write_bytes(icons.atlas)
        listed.append({"file": f"icons/{split}.webp", "name": split, "kind": "signs", "split": split, "names": list(icons.names)})
    (copy / ICON_INDEX).write_text(json.dumps(listed))
    (copy / "web/train-000.webp").write_bytes(page.picture)
    facts = [{"file": "web/train-000.webp"} | dict(page.facts)]
    (copy / page_index("train")).write_bytes(lzma.compress(json.dumps(facts).encode()))
    index = json.loads((folder / "pack.json").read_text())
    build.write_index(copy, index["faces"], index["sources"])
    return copy


def test_icons_and_pages_are_loaded_from_where_the_build_put_them(folder, tmp_path):
    pack = DataPack.load(with_extras(folder, tmp_path / "pack"))
    (icons,) = pack.icons("test")
    assert (icons.name, icons.kind, icons.names) == ("test", "signs", ("circle", "warning"))
    assert icons.atlas == next(i.atlas for i in DataPack.builtin().icons("test") if i.kind == "signs")
    (page,) = pack.web_pages("train")
    assert page.facts["items"][2]["label"] == "Save"
    assert page.picture == DataPack.builtin().web_pages("train")[0].picture
    with pytest.raises(InputError, match="no web pages; add them with"):
        pack.web_pages("test")
    assert pack.digest != DataPack.load(folder).digest


def test_a_pack_without_icons_says_how_to_add_them(folder):
    with pytest.raises(InputError, match="--add icons"):
        DataPack.load(folder).icons("train")


def test_adding_to_a_pack_leaves_the_rest_byte_for_byte(folder, tmp_path, monkeypatch):
    pack = with_extras(folder, tmp_path / "pack")
    page, before = DataPack.builtin().web_pages("train")[0], files_of(pack)

    def add_icons(staging: Path, scratch: Path) -> list[dict]:
        assert not (staging / "icons").exists()
        shutil.copytree(pack / "icons", staging / "icons")
        (staging / "icons/more.webp").write_bytes(page.picture)
        return [{"name": "sqlite3-doc", "version": "4"}, {"name": "icons", "version": "1"}]

    monkeypatch.setitem(build.ADDITIONS, "icons", add_icons)
    monkeypatch.setattr(build, "report", lambda folder: None)
    build.add(pack, ["icons"], tmp_path)
    after = files_of(pack)
    assert set(after) == {*before, "icons/more.webp"}
    assert all(after[name] == data for name, data in before.items() if name != "pack.json")
    index = json.loads(after["pack.json"])
    assert [(source["name"], source["version"]) for source in index["sources"]] == [("sqlite3-doc", "4"), ("icons", "1")]
    assert "icons/more.webp" in index["files"]


def test_each_step_of_a_build_finds_what_the_steps_before_it_added(folder, tmp_path):
    drawn, staging = with_extras(folder, tmp_path / "drawn"), tmp_path / "staging"
    shutil.copytree(folder, staging)
    index, found = json.loads((folder / "pack.json").read_text()), []

    def add_icons(staging: Path, scratch: Path) -> list[dict]:
        shutil.copytree(drawn / "icons", staging / "icons")
        return [{"name": "icons", "version": "1"}]

    def add_pages(staging: Path, scratch: Path) -> list[dict]:
        found.extend(icons.name for icons in DataPack.load(staging).icons("train"))
        return []

    build.extend(staging, index["faces"], index["sources"], [add_icons, add_pages], tmp_path)
    assert found == ["train"]
    assert [source["name"] for source in json.loads((staging / "pack.json").read_text())["sources"]] == ["sqlite3-doc", "icons"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_set_of_icons_in_two_splits_stops_the_build():
    pack = DataPack.builtin()
    shared = pack.icons("train")[0]
    leaking = DataPack({s: [] for s in SPLITS}, pack._text, "", icons={s: [shared] for s in SPLITS}, pages=pack._pages)
    with pytest.raises(ValueError, match="set of icons 'tiny train' is both in train and in val"):
        build.check_disjoint(leaking)


def test_related_families_are_in_one_split():
    groups = [
        ("Roboto", "Roboto Condensed", "Roboto Slab"),
        ("Noto Sans", "Noto Sans Mono", "Noto Serif", "Open Sans"),
        ("PT Sans", "PT Serif", "PT Mono"),
        ("Liberation Sans Narrow", "Arimo", "Tinos", "Cousine"),
        ("OCR A", "OCRA", "OCR-B"),
        ("TeX Gyre Heros", "TeX Gyre Termes"),
    ]
    for group in groups[:4] + groups[5:]:
        assert len({fonts.family_stem(family) for family in group}) == 1, group
    assert fonts.family_stem("OCRA") == fonts.family_stem("OCR A")


def test_splits_come_out_in_the_shares_asked_for_and_depend_on_the_key_alone():
    keys = [f"key {n}" for n in range(20_000)]
    counts = [sum(build.split_of(key, (70, 10, 20)) == split for key in keys) / len(keys) for split in SPLITS]
    assert counts == pytest.approx([0.70, 0.10, 0.20], abs=0.01)
    assert build.split_of("key 1", (100, 0, 0)) == "train"
    assert build.split_of("key 1", (0, 0, 100)) == "test"


def test_a_subset_face_keeps_latin_1_and_loses_hints_and_layout():
    data, ending = fonts.subset_face(pillow_font())
    font = TTFont(io.BytesIO(data))
    assert ending == "ttf"
    assert {*map(ord, string.printable[:94])} <= {*font.getBestCmap()} <= {*fonts.KEPT}
    assert not {"GSUB", "GPOS", "GDEF", "kern", "fpgm", "prep", "cvt "} & {*font.keys()}
    assert len(data) < 0.75 * len(pillow_font())
    assert fonts.subset_face(pillow_font()) == (data, ending)


def reduced(characters: str) -> bytes:
    font = TTFont(io.BytesIO(pillow_font()))
    subsetter = Subsetter(Options(layout_features=[]))
    subsetter.populate(text=characters)
    subsetter.subset(font)
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()


def with_glyphs_of(changed: dict[str, str]) -> bytes:
    """Pillow's font in which one character draws another."""
    font = TTFont(io.BytesIO(pillow_font()))
    for table in font["cmap"].tables:
        names = dict(table.cmap)
        table.cmap.update({ord(char): names[ord(other)] for char, other in changed.items() if ord(other) in names})
    out = io.BytesIO()
    font.save(out)
    return out.getvalue()


def test_a_readable_face_has_nothing_to_complain_of():
    assert fonts.complaint(pillow_font()) is None


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (reduced(string.ascii_letters + string.punctuation), "lacks 0123456789"),
        (with_glyphs_of({"e": " "}), "draws nothing for e"),
        (with_glyphs_of({"b": "d"}), "draws b and d alike"),
        (with_glyphs_of({char: char.upper() for char in string.ascii_lowercase}), "has capitals for abdeghnqrt"),
    ],
)
def test_a_face_that_would_teach_wrong_reading_is_named(data, complaint):
    assert fonts.complaint(data) == complaint


def test_faces_of_an_npm_package_are_its_regular_its_bold_and_the_italic_of_a_serif():
    files = [(400, "normal"), (400, "italic"), (500, "normal"), (700, "normal"), (700, "italic")]
    members = {f"package/files/lora-latin-{weight}-{style}.woff2": b"data" for weight, style in files}
    faces = list(fonts.npm_faces(members, "lora", "Lora", "serif"))
    assert [(face.stem, face.weight, face.italic) for face in faces] == [
        ("lora-400", 400, False),
        ("lora-700", 700, False),
        ("lora-400i", 400, True),
    ]
    # Of sans families a third gives an italic too; four letters are not of it.
    for kind in ("slab", "sans"):
        assert [face.stem for face in fonts.npm_faces(members, "lora", "Lora", kind)] == ["lora-400", "lora-700"]


def test_faces_are_taken_out_of_npm_archives_with_their_split_and_licence(tmp_path, monkeypatch):
    monkeypatch.setattr(fonts, "NPM_FAMILIES", {"sans": "aileron"})
    members = {
        "package/package.json": json.dumps({"name": "@fontsource/aileron", "version": "5.3.0", "license": "CC0-1.0"}).encode(),
        "package/metadata.json": json.dumps({"family": "Aileron"}).encode(),
        "package/files/aileron-latin-400-normal.woff2": pillow_font(),
        "package/files/aileron-latin-700-normal.woff2": with_glyphs_of({"b": "d"}),
    }
    archive = tmp_path / "fontsource-aileron-5.3.0.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    (tmp_path / "fonts").mkdir()
    faces, sources = build.write_faces(tmp_path, {"aileron": archive}, {})
    assert sources == [{"name": "@fontsource/aileron", "registry": "npm", "version": "5.3.0", "licence": "CC0-1.0"}]
    assert [face["file"] for face in faces] == ["fonts/aileron-400.ttf"]
    assert faces[0]["split"] == build.family_split("Aileron")
    assert (tmp_path / "fonts/aileron-400.ttf").is_file()


@pytest.mark.parametrize(
    "text",
    [
        "The shop opens at nine in the morning.",
        'She asked: "Is there anybody at home?"',
        "Nearly 20% of the 1,500 letters (all of them old) were never opened.",
        "It isn't the well-known author's best book, but we liked it.",
    ],
)
def test_plain_sentences_are_kept(text):
    assert prose.sentences(text) == [text]


@pytest.mark.parametrize(
    "text",
    [
        "See section four",
        "Too short.",
        "the sentence starts in its middle and goes on.",
        "Run apt-get install with the option --yes to go on.",
        "The function str.join() returns a new string of all parts.",
        "The file /etc/passwd holds the names of all users.",
        "The bracket (that opens here is never closed again.",
        "Привет means hello in a language of another script.",
        "Set the VARIABLE of THE SHELL TO BE EMPTY AGAIN.",
    ],
)
def test_what_is_not_plain_prose_is_left_out(text):
    assert prose.sentences(text) == []


def test_sentences_are_not_cut_behind_abbreviations():
    text = "We met Dr. Brown at the old station on one of the cold mornings. He was always late for his train."
    assert prose.sentences(text) == [
        "We met Dr. Brown at the old station on one of the cold mornings.",
        "He was always late for his train.",
    ]


def test_paragraphs_have_at_most_six_sentences_and_640_characters():
    text = " ".join(f"This is sentence number {n} of a long chapter." for n in range(1, 15))
    found = prose.paragraphs([text], set())
    assert [len(prose.sentences(paragraph)) for paragraph in found] == [6, 6, 2]
    long = " ".join(f"Sentence {n} {'goes on and ' * 10}ends at last." for n in range(6))
    assert [len(prose.sentences(paragraph)) for paragraph in prose.paragraphs([long], set())] == [4, 2]


def test_a_sentence_met_before_is_not_taken_again_whatever_its_case_and_marks():
    seen: set[str] = set()
    assert prose.paragraphs(["The river was frozen over in winter."], seen) == ["The river was frozen over in winter."]
    assert prose.paragraphs(["The river was frozen, over in Winter! It then melted again in spring."], seen) == [
        "It then melted again in spring."
    ]


def test_markup_is_taken_off_and_tables_code_and_titles_are_dropped(tmp_path):
    manual = tmp_path / "usr/share/doc/sqlite3"
    manual.mkdir(parents=True)
    (manual / "a.html").write_text(
        "<head><title>The title of the page is here.</title></head><h1>A heading is no prose at all.</h1>"
        "<p>One &amp; the same <em>word</em> was\nwritten&nbsp;“twice” there.</p><ul><li>The item of a list is prose too.</li></ul>"
        "<pre>The code is not prose at all.</pre><table><tr><td>The cell of a table is dropped.</td></tr></table>",
        encoding="utf-8",
    )
    ((name, texts),) = prose.documents(tmp_path, "sqlite3-doc")
    assert name == "sqlite3-doc/usr/share/doc/sqlite3/a.html"
    assert texts == ['One & the same word was written "twice" there.', "The item of a list is prose too."]


def test_articles_have_one_to_three_words_unless_the_noun_itself_has_more():
    everything = lists.products("train", lambda _: "train", 3_000)
    assert len(everything) == 3_000
    assert max(name.count(" ") for name in everything) == 2
    assert {"Milk", "Wood Glue", "Espresso", "Paper Clips"} <= {*everything}
    assert everything == lists.products("train", lambda _: "train", 3_000)


def test_names_are_of_people_companies_and_streets():
    names = lists.names("train", lambda _: "train", ["Abernathy"], 500)
    assert len({*names}) == 500
    streets = [name for name in names if name.split()[-1] in lists.items(lists.STREET_KINDS)]
    people = [name for name in names if name.split()[0] in lists.items(lists.FIRST_NAMES)]
    assert len(streets) > 80
    assert len(people) > 200
