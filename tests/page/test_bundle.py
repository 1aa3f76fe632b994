"""The committed bundle is what the sources in web/ build, by digests: neither stale nor edited by hand. Needs no Node."""

import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
WEB = ROOT / "web"
PAGE = ROOT / "src" / "kimi_vl" / "server" / "page"
BESIDE = ("index.html", "package-lock.json", "package.json", "tsconfig.json", "vite.config.ts")
MOST_BYTES = 1_500_000


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sources(web: Path) -> str:
    """As `sources` of web/vite.config.ts."""
    names = [*BESIDE, *(str(path.relative_to(web).as_posix()) for path in (web / "src").rglob("*") if path.is_file())]
    return digest("".join(f"{digest((web / name).read_bytes())}  {name}\n" for name in sorted(names)).encode())


def test_the_bundle_was_built_from_these_sources():
    built = json.loads((PAGE / "build.json").read_text(encoding="utf-8"))
    assert built["sources"] == sources(WEB), "the page is stale: cd web && npm ci && npm run build"


def test_the_bundle_is_as_it_was_built():
    built = json.loads((PAGE / "build.json").read_text(encoding="utf-8"))
    there = {str(path.relative_to(PAGE).as_posix()): digest(path.read_bytes()) for path in PAGE.rglob("*") if path.is_file()}
    del there["build.json"]
    assert there == built["files"]


def test_a_changed_source_changes_the_digest(tmp_path):
    for name in (*BESIDE, "src/main.tsx"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    before = sources(tmp_path)
    (tmp_path / "src" / "main.tsx").write_text("two")
    assert sources(tmp_path) != before


def test_the_bundle_is_small_and_has_only_what_the_page_loads():
    files = [path for path in PAGE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= MOST_BYTES
    assert {path.suffix for path in files} == {".html", ".js", ".css", ".svg", ".woff2", ".json", ".txt"}
    assert [path.name for path in files if path.suffix == ".js" and b"sourceMappingURL" in path.read_bytes()] == []


def test_the_licences_of_what_is_in_it_are_in_it():
    text = (PAGE / "licences.txt").read_text(encoding="utf-8")
    packages = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    assert [f"{name} {version}\n\n" for name, version in packages.items() if f"{name} {version}\n\n" not in text] == []
    assert text.lower().count("copyright") >= len(packages)


def test_nothing_of_the_page_lies_elsewhere():
    """No address of another host is loaded: neither by the document nor by a style. What scripts do, the browser tests see."""
    html = (PAGE / "index.html").read_text(encoding="utf-8")
    assert re.findall(r"""(?:src|href)=["'](?!\./assets/)([^"']*)""", html) == []
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", html)
    for style in PAGE.rglob("*.css"):
        text = style.read_text(encoding="utf-8")
        assert "@import" not in text
        assert re.findall(r"url\(['\"]?(?!\./)[^)]*\)", text) == []


def test_the_lock_file_names_no_registry():
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert [name for name, entry in packages.items() if "resolved" in entry] == []
    assert [name for name, entry in packages.items() if "integrity" not in entry] == []
    wanted = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    for kind in ("dependencies", "devDependencies"):
        for name, version in wanted[kind].items():
            assert packages[f"node_modules/{name}"]["version"] == version
