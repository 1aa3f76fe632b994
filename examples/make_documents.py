"""Make the pictures of this folder again from their sources.

    python examples/make_documents.py

Needs Debian's chromium, groff, poppler-utils, fonts-dejavu, fonts-liberation and fonts-urw-base35, and the Python packages scikit-image
and matplotlib. Each picture comes from a program that shares nothing with this package's own renderer: a browser, a typesetter with a PDF
rasteriser, a plotting library, a camera. Nothing here is ever trained on.
"""

import os
import subprocess
import tempfile
from pathlib import Path

import av
from PIL import Image

from kimi_vl.media import load_frames

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


def film(source: str, width: int, height: int, frames: int) -> None:
    """Screenshots of an HTML file at #0, #1, ... as one animated picture of two frames a second."""
    pictures = []
    for number in range(frames):
        with tempfile.TemporaryDirectory() as folder:
            shot = Path(folder) / "shot.png"
            flags = [*QUIET, f"--user-data-dir={folder}", f"--window-size={width},{height}", f"--screenshot={shot}"]
            address = f"{(HERE / source).as_uri()}#{number}"
            subprocess.run(["chromium", *flags, address], check=True, stderr=subprocess.DEVNULL)
            pictures.append(Image.open(shot).convert("RGB"))
    target = (HERE / source).with_suffix(".webp")
    pictures[0].save(target, save_all=True, append_images=pictures[1:], duration=500, lossless=True)


def plots() -> None:
    """A bar chart and a line chart in matplotlib's default style."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.6, 4.2), dpi=100)
    bars = axes.bar(["North", "East", "South", "West"], [42, 17, 31, 25], color="tab:green")
    axes.bar_label(bars)
    axes.set(title="Visitors per gate", ylabel="thousand")
    figure.savefig(HERE / "visitors.png", metadata={"Software": None})
    figure, axes = plt.subplots(figsize=(5.6, 4.2), dpi=100)
    axes.plot(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], [12, 15, 14, 18, 21, 16], marker="o", label="Lisbon")
    axes.plot(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], [4, 3, 6, 9, 8, 5], marker="s", label="Oslo")
    axes.set(title="Temperature at noon", ylabel="degrees", ylim=(0, 25))
    axes.grid(True)
    axes.legend()
    figure.savefig(HERE / "temperature.png", metadata={"Software": None})
    for name in ("visitors", "temperature"):
        shrink(HERE / f"{name}.png")


def typeset(source: str) -> None:
    """PDF of a groff -ms file on A5 paper, and its first page at 100 dots per inch."""
    stem = (HERE / source).with_suffix("")
    pdf = stem.with_suffix(".pdf")
    dated = {**os.environ, "SOURCE_DATE_EPOCH": "1739318400"}  # the letter's own date, so that equal sources give equal files
    with pdf.open("wb") as out:
        subprocess.run(["groff", "-Tpdf", "-t", "-ms", "-P-pa5", "-dpaper=a5", HERE / source], stdout=out, check=True, env=dated)
    subprocess.run(["pdftoppm", "-r", "100", "-png", "-singlefile", pdf, stem], check=True)
    shrink(stem.with_suffix(".png"))


def photographs() -> None:
    """scikit-image's photographed page, as it is, and its cat: a picture with nothing to read."""
    from skimage import data

    Image.fromarray(data.page()).save(HERE / "page.png", optimize=True)
    Image.fromarray(data.chelsea()).save(HERE / "cat.jpg", quality=85)


def encode(source: str, target: str) -> None:
    """An animated picture as a video of ten frames a second, H.264."""
    frames = load_frames(HERE / source)
    with av.open(HERE / target, "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "slow", "crf": "18", "threads": "1"})
        (stream.width, stream.height), stream.pix_fmt = frames[0][1].size, "yuv420p"
        for number, picture in enumerate(picture for _, picture in frames for _ in range(5)):
            frame = av.VideoFrame.from_image(picture)
            frame.pts = number
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


def shrink(path: Path) -> None:
    """Save again without the alpha channel."""
    with Image.open(path) as picture:
        picture.convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    browse("invoice.html", 640, 520)
    browse("receipt.html", 448, 520)
    browse("settings.html", 640, 448)
    browse("shapes.svg", 448, 336)
    film("clip.html", 280, 224, 12)
    encode("clip.webp", "clip.mp4")
    typeset("letter.ms")
    typeset("timetable.ms")
    plots()
    photographs()
