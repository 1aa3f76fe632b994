"""Make the pictures of this folder again from their sources.

    python examples/make_documents.py

Needs Debian's chromium, groff, poppler-utils, fonts-liberation and fonts-urw-base35, and the Python package scikit-image.
Each picture comes from a program that shares nothing with this package's own renderer: a browser, a typesetter with a PDF
rasteriser, a camera. Nothing here is ever trained on.
"""

import os
import subprocess
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).resolve().parent
QUIET = (
    "--headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


def browse(source: str, width: int, height: int) -> None:
    """Screenshot of an HTML file, width x height pixels."""
    target = (HERE / source).with_suffix(".png")
    with tempfile.TemporaryDirectory() as profile:
        flags = [*QUIET, f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={target}"]
        subprocess.run(["chromium", *flags, (HERE / source).as_uri()], check=True, stderr=subprocess.DEVNULL)
    shrink(target)


def typeset(source: str) -> None:
    """PDF of a groff -ms file on A5 paper, and its first page at 100 dots per inch."""
    stem = (HERE / source).with_suffix("")
    pdf = stem.with_suffix(".pdf")
    dated = {**os.environ, "SOURCE_DATE_EPOCH": "1739318400"}  # the letter's own date, so that equal sources give equal files
    with pdf.open("wb") as out:
        subprocess.run(["groff", "-Tpdf", "-ms", "-P-pa5", "-dpaper=a5", HERE / source], stdout=out, check=True, env=dated)
    subprocess.run(["pdftoppm", "-r", "100", "-png", "-singlefile", pdf, stem], check=True)
    shrink(stem.with_suffix(".png"))


def photographs() -> None:
    """scikit-image's photographed page, as it is, and its cat: a picture with nothing to read."""
    from skimage import data

    Image.fromarray(data.page()).save(HERE / "page.png", optimize=True)
    Image.fromarray(data.chelsea()).save(HERE / "cat.jpg", quality=85)


def shrink(path: Path) -> None:
    """Save again without the alpha channel."""
    with Image.open(path) as picture:
        picture.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    browse("invoice.html", 640, 520)
    browse("receipt.html", 448, 520)
    typeset("letter.ms")
    photographs()
