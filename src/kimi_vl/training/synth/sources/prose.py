"""Plain English paragraphs out of the documentation that Debian packages carry.

A document is one file. Markup goes, then every sentence that is not plain prose goes (commands, tables, code, foreign
text), and what stays together in the source stays together here.
"""

import gzip
import html
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

MAX_SENTENCES = 6
MAX_CHARS = 640

# Debian package: glob of the documents inside it. Only English; translations lie in other folders.
DOCUMENTS = {
    "anarchism": "usr/share/doc/anarchism/html/*.html",
    "apache2-doc": "usr/share/doc/apache2-doc/manual/en/**/*.html",
    "debian-faq": "usr/share/doc/debian/FAQ/*.en.html",
    "debian-handbook": "usr/share/doc/debian-handbook/html/en-US/*.html",
    "debian-policy": "usr/share/doc/debian-policy/policy.html/*.html",
    "debian-reference-en": "usr/share/debian-reference/*.en.html",
    "developers-reference": "usr/share/developers-reference/*.html",
    "dict-foldoc": "usr/share/dictd/foldoc.dict.dz",
    "dict-gcide": "usr/share/dictd/gcide.dict.dz",
    "gimp-help-en": "usr/share/gimp/2.0/help/en/*.html",
    "git-doc": "usr/share/doc/git-doc/**/*.html",
    "gnome-user-docs": "usr/share/help/C/**/*.page",
    "gnu-standards": "usr/share/doc/gnu-standards/*.html",
    "harden-doc": "usr/share/doc/harden-doc/html/en-US/*.html",
    "installation-guide-amd64": "usr/share/doc/installation-guide-amd64/en/*.html",
    "libreoffice-help-en-us": "usr/share/libreoffice/help/en-US/text/**/*.html",
    "linux-doc-6.1": "usr/share/doc/linux-doc-6.1/Documentation/**/*.rst.gz",
    "maint-guide": "usr/share/doc/maint-guide/html/*.en.html",
    "octave-doc": "usr/share/doc/octave/octave.html/*.html",
    "perl-doc": "usr/share/perl/**/*.pod",
    "postgresql-doc-15": "usr/share/doc/postgresql-doc-15/html/*.html",
    "python3.11-doc": "usr/share/doc/python3.11/html/**/*.html",
    "r-doc-html": "usr/share/R/doc/manual/*.html",
    "sqlite3-doc": "usr/share/doc/sqlite3/**/*.html",
    "wesnoth-1.16-dw": "usr/share/games/wesnoth/1.16/data/campaigns/**/*.cfg",
}

_DROPPED = re.compile(r"<(script|style|pre|table|h[1-6]|title|nav|head|svg|math|screen|code-block)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)
_BLOCK = re.compile(
    r"</?(?:p|div|li|ul|ol|dl|dd|dt|br|hr|section|article|body|html|td|tr|th|blockquote|header|footer|item|title|note|steps|page|info"
    r"|aside|figure|figcaption|main)\b[^>]*>",
    re.IGNORECASE,
)
_TAG = re.compile(r"<[^>]*>", re.DOTALL)
_POD = re.compile(r"[A-Z]<+([^<>]*)>+")
_BLANK_LINES = re.compile(r"\n\s*\n")
_CFG_STRING = re.compile(r'_\s*"([^"]+)"')
_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "–": "-", "—": " - ", "…": "...", "\u00a0": " ", "\u00ad": "", "\u200b": ""}
)
_SENTENCE_END = re.compile(r"""(?<=[.!?])["')]?\s+(?=["'(]?[A-Z])""")
_WORD = re.compile(r"""^["'(]*(?:[^\W\d_]+(?:['-][^\W\d_]+)*(?:'s?)?|\d{1,4}(?:[.,]\d+)?%?|[-–])["')]*[.,;:!?]*["')]*$""")
_ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Mr|Mrs|Dr|St|No|Fig|Vol|pp?|al|Prof|Sec|ch|approx)|\b[A-Z])\.$")


def documents(folder: Path, package: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (name, paragraphs) of every document of an unpacked Debian package, in the order of names.

    A dictionary is one large file without documents inside: each block of 200 lines of paragraphs counts as a document.
    """
    for path in sorted(folder.glob(DOCUMENTS[package])):
        if not path.is_file():
            continue
        paragraphs = [text for block in _blocks(path) if (text := " ".join(block.translate(_PLAIN).split()))]
        name = f"{package}/{path.relative_to(folder)}"
        if path.suffix != ".dz":
            yield name, paragraphs
            continue
        for start in range(0, len(paragraphs), 200):
            yield f"{name}#{start}", paragraphs[start : start + 200]


def sentences(paragraph: str) -> list[str]:
    """Split a paragraph at sentence ends and keep the plain sentences: 4 to 40 words, 20 to 260 characters, balanced."""
    parts: list[str] = []
    for part in _SENTENCE_END.split(paragraph):
        if parts and _ABBREVIATED.search(parts[-1]):
            parts[-1] += " " + part
        else:
            parts.append(part)
    return [part for part in parts if _is_plain(part)]


def paragraphs(texts: Iterable[str], seen: set[str]) -> list[str]:
    """Paragraphs of 1 to 6 sentences, without any sentence that is in `seen`; the new ones are added to it."""
    out: list[str] = []
    for text in texts:
        fresh = []
        for sentence in sentences(text):
            key = re.sub(r"\W+", " ", sentence).strip().lower()
            if key not in seen:
                seen.add(key)
                fresh.append(sentence)
        out.extend(_joined(fresh))
    return out


def _joined(parts: list[str]) -> Iterator[str]:
    group: list[str] = []
    for part in parts:
        if group and (len(group) == MAX_SENTENCES or sum(map(len, group)) + len(group) + len(part) > MAX_CHARS):
            yield " ".join(group)
            group = []
        group.append(part)
    if group:
        yield " ".join(group)


def _is_plain(sentence: str) -> bool:
    words = sentence.split()
    if not (4 <= len(words) <= 40 and 20 <= len(sentence) <= 260):
        return False
    if not sentence.lstrip("\"'(")[:1].isupper() or sentence.rstrip("\"')")[-1:] not in ".!?":
        return False
    if sentence.count("(") != sentence.count(")") or sentence.count('"') % 2:
        return False
    if sum(ord(char) > 126 for char in sentence) > 2:
        return False
    # A file name, a version or an operator anywhere makes it documentation of code rather than prose.
    if not all(len(word) <= 18 and _WORD.match(word) for word in words):
        return False
    return sum(word[0].islower() for word in words) >= 0.6 * len(words)


def _blocks(path: Path) -> Iterator[str]:
    raw = path.read_bytes()
    if path.suffix in (".gz", ".dz"):
        raw = gzip.decompress(raw)
    text = raw.decode("utf-8", errors="replace")
    stem = path.name.removesuffix(".gz").removesuffix(".dz")
    if stem.endswith((".html", ".page")):
        return _from_markup(text)
    if stem.endswith(".cfg"):
        return (match.group(1) for match in _CFG_STRING.finditer(text))
    if stem.endswith(".pod"):
        return _from_pod(text)
    if stem.endswith(".dict"):
        return _from_dictionary(text)
    return _from_rst(text)


def _from_markup(text: str) -> Iterator[str]:
    text = _BLOCK.sub("\n\n", _DROPPED.sub("\n\n", text))
    for block in _BLANK_LINES.split(text):
        yield html.unescape(_TAG.sub("", block))


def _from_pod(text: str) -> Iterator[str]:
    for block in _BLANK_LINES.split(text):
        if block and not block[0].isspace() and not block.startswith("="):
            yield _POD.sub(r"\1", _POD.sub(r"\1", block))


def _from_dictionary(text: str) -> Iterator[str]:
    for block in _BLANK_LINES.split(text):
        block = re.sub(r"\[[^\]]*\]|--[A-Z][\w. ]*|\{|\}|^\s*\d+\. |\([a-z]\)", " ", block)
        if block.startswith(" "):
            yield block


def _from_rst(text: str) -> Iterator[str]:
    for block in _BLANK_LINES.split(text):
        if block and block[0].isalpha() and "::" not in block:
            yield re.sub(r"``([^`]*)``|\*+([^*]*)\*+", r"\1\2", block)
