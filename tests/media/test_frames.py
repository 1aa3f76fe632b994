"""Animated pictures as frames with their times."""

import contextlib
from dataclasses import asdict
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media import ImageLimits, load_frames, open_medium, pictures


def animation(durations, size=(32, 24), kind="WEBP", **options):
    """Frames of grey 0, 20, 40, ... shown for so many milliseconds each."""
    pictures = [Image.new("RGB", size, (20 * k,) * 3) for k in range(len(durations))]
    file = BytesIO()
    pictures[0].save(file, kind, save_all=True, append_images=pictures[1:], duration=durations, **options)
    return file.getvalue()


def shown(frames):
    return [(round(seconds, 3), int(np.rint(np.asarray(picture).mean() / 20))) for seconds, picture in frames]


@pytest.mark.parametrize(("kind", "options"), [("WEBP", {"lossless": True}), ("GIF", {}), ("PNG", {})])
def test_each_moment_shows_the_frame_that_lasts_over_it(kind, options):
    data = animation([1000, 1500, 500, 700], kind=kind, **options)
    assert shown(load_frames(data)) == [(0.0, 0), (0.5, 0), (1.0, 1), (1.5, 1), (2.0, 1), (2.5, 2), (3.0, 3)]


def test_a_long_animation_is_sampled_evenly_over_its_length():
    frames = load_frames(animation([1000] * 12, lossless=True), per_second=2, most=6)
    assert shown(frames) == [(0.0, 0), (2.0, 2), (4.0, 4), (6.0, 6), (8.0, 8), (10.0, 10)]


def test_a_frame_without_a_duration_lasts_a_tenth_of_a_second():
    assert len(load_frames(animation([0] * 10, kind="GIF"), per_second=10)) == 10


def test_a_still_picture_is_its_only_frame():
    picture = Image.new("RGB", (8, 8), "red")
    file = BytesIO()
    picture.save(file, "PNG")
    for source in (picture, file.getvalue()):
        ((seconds, found),) = load_frames(source)
        assert (seconds, found.size, found.getpixel((0, 0))) == (0.0, (8, 8), (255, 0, 0))


def test_transparent_frames_stand_on_white():
    pictures = [Image.new("RGBA", (8, 8), (0, 0, 0, 0)), Image.new("RGBA", (8, 8), (0, 0, 255, 255))]
    file = BytesIO()
    pictures[0].save(file, "WEBP", save_all=True, append_images=pictures[1:], duration=500, lossless=True)
    assert [picture.getpixel((0, 0)) for _, picture in load_frames(file.getvalue())] == [(255, 255, 255), (0, 0, 255)]


def test_too_many_frames_are_refused_before_any_is_decoded(monkeypatch):
    monkeypatch.setattr(pictures, "MAX_ANIMATION_FRAMES", 3)
    request = {"format": "WEBP", "show": "moments", "per_second": 2, "most": 32, "limits": asdict(ImageLimits())}
    with pytest.raises(MediaError, match=r"the image has 5 frames; at most 3 are read"):
        next(pictures.read_picture(BytesIO(animation([100] * 5)), "the image", request))


def test_frames_that_are_too_large_together_are_refused():
    with pytest.raises(MediaError, match=r"5 frames of 32×24 pixels, too much to hold"):
        load_frames(animation([100] * 5), limits=ImageLimits(max_pixels=900))


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("kind", ["WEBP", "GIF", "PNG"])
def test_a_truncated_animation_is_one_clear_error_or_fewer_frames(kind, share):
    """Never Pillow's own exception. (WEBP and PNG lose everything with their tail, a GIF keeps the frames before it.)"""
    data = animation([500] * 6, size=(200, 150), kind=kind)
    found = []
    with contextlib.suppress(MediaError):
        found = load_frames(data[: int(len(data) * share)])
    assert len(found) <= 6


def pages(*sizes, **options):
    first, *others = [Image.new("RGB", size, (40 * k, 0, 0)) for k, size in enumerate(sizes)]
    file = BytesIO()
    first.save(file, "TIFF", save_all=True, append_images=others, **options)
    return file.getvalue()


def test_the_pages_of_a_tiff_are_frames_with_their_numbers_and_sizes():
    scan = open_medium(pages((32, 24), (9, 9), (100, 3), compression="tiff_lzw"))
    found = [(frame.page, frame.size_before, frame.image.size, frame.image.getpixel((0, 0))[0], frame.seconds) for frame in scan.pages]
    assert found == [(1, (32, 24), (32, 24), 0, None), (2, (9, 9), (9, 9), 40, None), (3, (100, 3), (100, 3), 80, None)]
    assert [frame.page for frame in scan.frames([3, 1])] == [3, 1]


def test_the_size_before_is_the_files_own_also_where_a_tiff_is_turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    (frame, _) = open_medium(pages((32, 24), (32, 24), exif=exif)).pages
    assert (frame.page, frame.size_before, frame.image.size) == (1, (32, 24), (24, 32))


def test_a_page_that_is_too_large_is_named():
    with pytest.raises(MediaError, match=r"page 2 of the file is 64×48 pixels; at most 1,000"):
        open_medium(pages((32, 24), (64, 48)), limits=ImageLimits(max_pixels=1000))


def test_another_picture_is_upright_and_no_page():
    exif = Image.Exif()
    exif[0x0112] = 6
    file = BytesIO()
    Image.new("RGB", (32, 24)).save(file, "JPEG", exif=exif)
    for source, size, name in ((file.getvalue(), (24, 32), "the file"), (Image.new("RGB", (32, 24)), (32, 24), "the image")):
        frame = open_medium(source).frame()
        assert (frame.page, frame.seconds, frame.size_before, frame.image.size, frame.name) == (None, None, size, size, name)


def test_an_animated_avif_is_a_clip():
    data = animation([1000, 1000], kind="AVIF", size=(64, 64), quality=100)
    assert [seconds for seconds, _ in load_frames(data)] == [0.0, 0.5, 1.0, 1.5]
