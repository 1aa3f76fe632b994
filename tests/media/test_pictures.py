"""load_image: every kind of source, every mode, and the files that should not be trusted."""

import base64
import os
import random
import resource
import struct
import time
import zlib
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media import ImageLimits, frames, load_image
from kimi_vl.media.sandbox import READERS
from tests.media.pictures import blocks, claimed_size, encoded, heic, orientation, png, png_chunk

BLOCKS = blocks()

FILES = {
    "png": encoded(BLOCKS, "PNG"),
    "palette png": encoded(BLOCKS.convert("P"), "PNG"),
    "jpeg": encoded(BLOCKS, "JPEG", quality=95),
    "progressive jpeg": encoded(BLOCKS, "JPEG", quality=95, progressive=True),
    "webp": encoded(BLOCKS, "WEBP"),
    "avif": encoded(BLOCKS, "AVIF"),
    "heic": heic(BLOCKS),
    "lossless webp": encoded(BLOCKS, "WEBP", lossless=True),
    "gif": encoded(BLOCKS, "GIF"),
    "bmp": encoded(BLOCKS, "BMP"),
    "plain tiff": encoded(BLOCKS, "TIFF"),
    "lzw tiff": encoded(BLOCKS, "TIFF", compression="tiff_lzw"),
    "deflate tiff": encoded(BLOCKS, "TIFF", compression="tiff_adobe_deflate"),
    "packbits tiff": encoded(BLOCKS, "TIFF", compression="packbits"),
    "fax tiff": encoded(BLOCKS.convert("1"), "TIFF", compression="group4"),
}


def pixels(source):
    image = load_image(source)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def data_url(data, header="data:image/png;base64"):
    return f"{header},{base64.b64encode(data).decode()}"


def test_a_picture_is_the_same_from_a_path_bytes_a_data_url_and_pillow(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(FILES["png"])
    for source in (path, str(path), FILES["png"], bytearray(FILES["png"]), data_url(FILES["png"]), BLOCKS):
        assert np.array_equal(pixels(source), np.asarray(BLOCKS))


@pytest.mark.parametrize(
    "name", [name for name in FILES if name not in ("palette png", "gif", "fax tiff", "webp", "avif", "heic") and "jpeg" not in name]
)
def test_lossless_files_give_back_their_pixels(name):
    assert np.array_equal(pixels(FILES[name]), np.asarray(BLOCKS))


@pytest.mark.parametrize("name", ["jpeg", "progressive jpeg", "webp", "avif", "heic", "gif"])
def test_lossy_files_give_back_nearly_their_pixels(name):
    assert np.abs(pixels(FILES[name]) - np.asarray(BLOCKS)).mean() < 16


def test_g2_the_bytes_decide_and_not_the_declared_type_or_the_name(tmp_path):
    path = tmp_path / "picture.png"
    path.write_bytes(FILES["jpeg"])
    assert np.array_equal(pixels(path), pixels(FILES["jpeg"]))
    assert np.array_equal(pixels(data_url(FILES["jpeg"])), pixels(FILES["jpeg"]))


def test_g2_a_data_url_may_be_wrapped_and_spelled_in_capitals():
    url = data_url(FILES["png"], "DATA:image/png;BASE64")
    wrapped = "\n".join(url[i : i + 60] for i in range(0, len(url), 60))
    assert np.array_equal(pixels(wrapped), np.asarray(BLOCKS))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("data:image/png;base64", "malformed"),
        ("data:image/png,rawdata", "malformed"),
        ("data:image/png;base64,@@@@", "not valid base64"),
        ("data:image/png;base64,abc", "not valid base64"),
        (data_url(b"\xfb\xff\xbf" * 9).replace("+", "-").replace("/", "_").replace("image_png", "image/png"), "not valid base64"),
        ("data:image/png;base64,", "empty"),
        (data_url(b"<html></html>"), "an HTML page"),
    ],
)
def test_g2_a_malformed_data_url_is_refused(url, message):
    with pytest.raises(MediaError, match=message):
        load_image(url)


def test_a_data_url_over_the_limit_is_refused_before_it_is_decoded():
    with pytest.raises(MediaError, match="larger than the limit of 1,000 bytes"):
        load_image("data:image/png;base64," + "@" * 2000, limits=ImageLimits(max_bytes=1000))


@pytest.mark.parametrize("url", ["http://example.org/a.png", "HTTPS://example.org/a.png"])
def test_a_web_address_is_refused_with_the_way_out(url):
    with pytest.raises(MediaError, match="nothing here fetches URLs; download it first"):
        load_image(url)


def test_other_addresses_are_refused_too():
    with pytest.raises(MediaError, match="pass a path"):
        load_image("file:///etc/passwd")


HEAD = b"\0" * 64
OTHER_FILES = {
    b"%PDF-1.7\n" + HEAD: "a PDF, not a picture; `kimi-vl ask` .* look at its pages",
    b"junk before\n%PDF-1.4": "a PDF",
    b"<svg xmlns='http://www.w3.org/2000/svg'/>": "an SVG drawing",
    b"<?xml version='1.0'?>\n<svg></svg>": "an SVG drawing",
    b"<!DOCTYPE html><html></html>": "an HTML page",
    b"%!PS-Adobe-3.0 EPSF-3.0\n": "PostScript",
    b"8BPS\0\1" + HEAD: "Photoshop",
    b"SIMPLE  =                    T": "FITS",
    b"\xd7\xcd\xc6\x9a" + HEAD: "metafile",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG 2000",
    b"\x30\x26\xb2\x75" + HEAD: "Windows Media",
    b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n": "a playlist",
    b"ffconcat version 1.0\nfile /etc/passwd\n": "a playlist",
    b"PK\x03\x04" + HEAD + b"word/document.xml": "an office document, not a picture",
    b"\xd0\xcf\x11\xe0" + HEAD: "an old or encrypted office document",
    b"G" + bytes(187) + b"G" + bytes(187) + b"G" + bytes(187) + b"G" + bytes(187): "a video",
    b"\0\0\0\x08wide\0\0\0\0mdat": "a video",
    b"\0\0\0 ftypisom" + HEAD: "a video, not a picture; `kimi-vl ask` .* look at its frames",
    b"\0\0\0\x14ftypqt  " + HEAD: "a video",
    b"\x1aE\xdf\xa3" + HEAD: "a video",
    b"RIFF\0\0\0\0AVI LIST": "a video",
    b"RIFF\0\0\0\0WAVEfmt ": "no picture",
    b"PK\x03\x04" + HEAD: "ZIP archive",
    b"\0\0\1\0\1\0" + HEAD: "icon",
    b"II+\0" + HEAD: "BigTIFF",
    b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n": "a text file",
    "Grüße aus Köln".encode(): "a text file",
    bytes(range(7, 90)): "not a picture of a known format",
}


@pytest.mark.parametrize("data", OTHER_FILES)
def test_g1_a_file_of_another_kind_is_named_for_what_it_is(data):
    with pytest.raises(MediaError, match=OTHER_FILES[data]):
        load_image(data)


def test_g1_g18_formats_that_pillow_reads_but_we_do_not_allow_are_refused():
    for file_format in ("ICO", "PPM", "TGA", "PCX", "JPEG2000"):
        with pytest.raises(MediaError, match="Supported pictures: PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF, HEIC"):
            load_image(encoded(BLOCKS, file_format))


def test_g1_a_tiff_with_an_unlisted_compression_is_refused():
    with pytest.raises(MediaError, match="a TIFF with jpeg compression; convert it"):
        load_image(encoded(BLOCKS, "TIFF", compression="jpeg"))


def test_what_is_no_readable_file_is_refused_by_name(tmp_path):
    empty = tmp_path / "empty.png"
    empty.touch()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    cases = {
        tmp_path: "is a directory",
        empty: r"empty.png is empty \(0 bytes\)",
        tmp_path / "missing.png": "missing.png does not exist",
        pipe: "not a regular file",
        "nul\0byte.png": "cannot be read",
        "x" * 5000: "cannot be read",
        b"": "is empty",
    }
    for source, message in cases.items():
        with pytest.raises(MediaError, match=message):
            load_image(source)


@pytest.mark.parametrize("source", [None, 42, np.zeros((4, 4, 3), np.uint8), ["a.png"]])
def test_a_source_of_another_type_is_an_input_error(source):
    with pytest.raises(InputError, match="an image must be a path, bytes, a data: URL or a PIL image, not"):
        load_image(source)


@pytest.mark.parametrize("name", FILES)
def test_g3_a_truncated_file_is_refused_or_whole_and_never_half_gray(name):
    data = FILES[name]
    whole = pixels(data)
    refused = []
    for percent in range(7, 100, 8):
        try:
            assert np.array_equal(pixels(data[: len(data) * percent // 100]), whole), f"{percent} %"
        except MediaError as error:
            refused.append(str(error))
    assert len(refused) >= 9
    assert all("damaged or truncated" in message for message in refused)
    assert not any("0x" in message for message in refused), "an address in memory"


@pytest.mark.parametrize("name", FILES)
def test_g4_flipped_bits_give_a_picture_or_a_media_error(name):
    for seed in range(30):
        generator = random.Random(seed)
        data = bytearray(FILES[name])
        for _ in range(generator.choice((1, 2, 8))):
            data[generator.randrange(len(data) if seed % 2 else min(200, len(data)))] ^= 1 << generator.randrange(8)
        try:
            assert load_image(bytes(data)).mode == "RGB"
        except MediaError:
            continue


@pytest.mark.parametrize(("width", "height"), [(9000, 9000), (13300, 13300), (20000, 20000), (16385, 8)])
def test_g5_a_picture_over_the_limits_is_refused_from_its_header(width, height):
    data = claimed_size(width, height)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaError, match="pixels"):
        load_image(data)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 50 * 1024


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_the_limits_hold_for_every_format_and_for_pillow_images(file_format):
    limits = ImageLimits(max_pixels=64 * 48 - 1)
    for source in (encoded(BLOCKS, file_format), BLOCKS):
        with pytest.raises(MediaError, match=r"64×48 pixels; at most 3,071 pixels"):
            load_image(source, limits=limits)
        assert load_image(source, limits=ImageLimits(max_pixels=64 * 48)).size == (64, 48)
    with pytest.raises(MediaError, match="63 on a side"):
        load_image(encoded(BLOCKS, file_format), limits=ImageLimits(max_side=63))


def test_a_file_over_the_byte_limit_is_refused(tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(FILES["png"])
    size = len(FILES["png"])
    assert load_image(path, limits=ImageLimits(max_bytes=size)).size == (64, 48)
    for source in (path, FILES["png"]):
        with pytest.raises(MediaError, match=f"larger than the limit of {size - 1:,} bytes"):
            load_image(source, limits=ImageLimits(max_bytes=size - 1))


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP"])
def test_g7_of_an_animation_the_first_frame_is_read_without_walking_the_others(file_format):
    others = [Image.new("RGB", (160, 120), (i % 256, (7 * i) % 256, 99)) for i in range(1, 301)]
    data = encoded(Image.new("RGB", (160, 120), "red"), file_format, save_all=True, append_images=others)
    start = time.perf_counter()
    image = load_image(data)
    assert time.perf_counter() - start < 0.2
    assert all(abs(a - b) <= 3 for a, b in zip(image.getpixel((5, 5)), (255, 0, 0), strict=True))


def test_a_multi_page_tiff_gives_its_first_page():
    data = encoded(BLOCKS, "TIFF", save_all=True, append_images=[Image.new("RGB", (9, 9))])
    assert np.array_equal(pixels(data), np.asarray(BLOCKS))


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("value", range(1, 9))
def test_g8_exif_orientation_is_applied_once(file_format, value):
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(file_format, {})
    exif = orientation(value)
    upright = load_image(encoded(BLOCKS, file_format, exif=exif, **options))
    # Orientation 6 means: row 0 of the file is the right edge, so the picture is turned a quarter clockwise.
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }[value](np.asarray(BLOCKS).astype(int))
    assert np.abs(np.asarray(upright) - turned).max() <= (3 if file_format == "JPEG" else 0)
    assert np.array_equal(pixels(upright), np.asarray(upright)), "loading the result again must not turn it again"


@pytest.mark.parametrize("value", [0, 9, 99])
def test_g8_meaningless_exif_orientations_are_ignored(value):
    assert np.array_equal(pixels(encoded(BLOCKS, "PNG", exif=orientation(value))), np.asarray(BLOCKS))


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0",
        b"Exif\0\0garbage!",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff\0\0\0\0" * 9,
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",  # a directory that points to itself
        b"Exif\0\0" + b"\xff" * 60_000,
    ],
)
def test_g8_corrupt_exif_is_ignored(exif):
    plain = pixels(encoded(BLOCKS, "JPEG", quality=95))
    start = time.perf_counter()
    assert np.array_equal(pixels(encoded(BLOCKS, "JPEG", quality=95, exif=exif)), plain)
    assert np.array_equal(pixels(encoded(BLOCKS, "PNG", exif=exif)), np.asarray(BLOCKS))
    assert time.perf_counter() - start < 1


def test_g9_a_corrupt_colour_profile_is_ignored():
    assert np.array_equal(pixels(encoded(BLOCKS, "PNG", icc_profile=b"not a profile")), np.asarray(BLOCKS))


def test_g16_compressed_text_bombs_are_bounded():
    zeros = zlib.compress(bytes(90_000_000), 9)
    for bomb in (b"zTXt", b"iCCP"):
        start = time.perf_counter()
        with pytest.raises(MediaError, match="damaged"):
            load_image(png(1, 1, 8, 2, b"\0\1\2\3", png_chunk(bomb, b"a\0\0" + zeros)))
        assert time.perf_counter() - start < 0.5
    start = time.perf_counter()
    many = png(1, 1, 8, 2, b"\0\1\2\3", png_chunk(b"tEXt", b"a\0b") * 100_000)
    assert load_image(many).getpixel((0, 0)) == (1, 2, 3)
    assert time.perf_counter() - start < 3


def test_g10_16_bit_gray_is_scaled_and_not_clipped():
    rows = b"\0" + struct.pack(">4H", 0, 100, 40000, 65535)
    assert pixels(png(4, 1, 16, 0, rows))[0, :, 0].tolist() == [0, 0, 156, 255]
    values = np.array([[0, 100, 40000, 65535]], np.uint16)
    for mode in ("I;16", "I;16B"):
        stored = values.astype(">u2" if mode.endswith("B") else "<u2")
        assert pixels(Image.frombytes(mode, (4, 1), stored.tobytes()))[0, :, 1].tolist() == [0, 0, 156, 255]
    assert pixels(encoded(Image.fromarray(values), "TIFF"))[0, :, 2].tolist() == [0, 0, 156, 255]


def test_g10_16_bit_colour_keeps_its_high_bytes():
    rows = b"\0" + struct.pack(">3H", 40000, 65535, 257)
    assert np.abs(pixels(png(1, 1, 16, 2, rows))[0, 0] - [155, 255, 1]).max() <= 1


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.int32, [0, 128, 255], [0, 128, 255]),
        (np.int32, [0, 256, 60000], [0, 1, 233]),
        (np.int32, [-100, 0, 100], [0, 128, 255]),
        (np.int32, [0, 50_000, 100_000], [0, 128, 255]),
        (np.float32, [0.0, 0.5, 1.0], [0, 128, 255]),
        (np.float32, [0.0, 100.0, 255.0], [0, 100, 255]),
        (np.float32, [-1.0, 0.0, 1.0], [0, 128, 255]),
        (np.float32, [np.nan, np.inf, 0.5], [0, 0, 128]),
        (np.float32, [3000.0, 3000.0, 3000.0], [0, 0, 0]),
    ],
)
def test_g10_32_bit_gray_is_read_by_its_range(dtype, values, expected):
    assert pixels(Image.fromarray(np.array([values], dtype)))[0, :, 0].tolist() == expected


def test_g12_one_and_two_bit_gray_are_black_to_white():
    assert pixels(png(4, 1, 1, 0, b"\0\xa0"))[0, :, 0].tolist() == [255, 0, 255, 0]
    assert pixels(png(4, 1, 2, 0, b"\0\x1b"))[0, :, 0].tolist() == [0, 85, 170, 255]


def test_g12_a_palette_index_beyond_the_palette_is_black_or_refused():
    data = png(2, 1, 8, 3, b"\0\0\5", png_chunk(b"PLTE", b"\1\2\3"))
    assert pixels(data)[0].tolist() == [[1, 2, 3], [0, 0, 0]]


def test_g11_transparency_is_composited_on_white_and_hidden_colours_stay_hidden():
    hidden = [np.dstack([np.full((2, 2), c, np.uint8) for c in (colour, 9, 7, 0)]) for colour in (0, 255)]
    for rgba in hidden:
        image = Image.fromarray(rgba)
        for source in (image, encoded(image, "PNG"), encoded(image, "WEBP", lossless=True, exact=True), image.convert("LA")):
            assert (pixels(source) == 255).all()
    half = Image.new("RGBA", (1, 1), (100, 0, 200, 128))
    assert np.abs(pixels(half)[0, 0] - (np.array([100, 0, 200]) * 128 + 255 * 127) / 255).max() <= 1
    assert np.abs(pixels(Image.new("LA", (1, 1), (100, 51)))[0, 0] - (100 * 51 + 255 * 204) / 255).max() <= 1
    assert np.abs(pixels(Image.new("RGBa", (1, 1), (50, 0, 100, 128)))[0, 0] - [177, 127, 227]).max() <= 2
    assert np.abs(pixels(Image.new("La", (1, 1), (50, 128)))[0, 0] - 177).max() <= 2


@pytest.mark.parametrize("corner", [255, 254, 0])
def test_a_picture_that_hides_nothing_is_composited_like_any_other(corner):
    rgba = np.full((48, 48, 4), 255, np.uint8)
    rgba[..., :3] = np.arange(48 * 48 * 3, dtype=np.uint32).reshape(48, 48, 3)  # every value in every colour
    rgba[-1, -1, 3] = corner
    canvas = Image.new("RGBA", (48, 48), "white")
    canvas.alpha_composite(Image.fromarray(rgba))
    assert np.array_equal(pixels(Image.fromarray(rgba)), np.asarray(canvas)[..., :3])


def test_g11_transparent_palettes_and_colour_keys_are_composited_on_white():
    palette = png_chunk(b"PLTE", b"\xff\0\0\0\0\xff") + png_chunk(b"tRNS", b"\0\x80")
    assert np.abs(pixels(png(2, 1, 8, 3, b"\0\0\1", palette))[0] - [[255, 255, 255], [127, 127, 255]]).max() <= 1
    gray_key = png(2, 1, 8, 0, b"\0\x10\x20", png_chunk(b"tRNS", b"\0\x10"))
    assert pixels(gray_key)[0, :, 0].tolist() == [255, 32]
    colour_key = png(2, 1, 8, 2, b"\0\1\2\3\4\5\6", png_chunk(b"tRNS", struct.pack(">3H", 1, 2, 3)))
    assert pixels(colour_key)[0].tolist() == [[255, 255, 255], [4, 5, 6]]
    deep_key = png(2, 1, 16, 0, b"\0" + struct.pack(">2H", 40000, 100), png_chunk(b"tRNS", struct.pack(">H", 100)))
    assert pixels(deep_key)[0, :, 0].tolist() == [156, 255]
    with_alpha = Image.new("PA", (2, 1))
    with_alpha.putpalette([255, 0, 0, 0, 0, 255])
    with_alpha.putdata([(0, 0), (1, 255)])
    assert pixels(with_alpha)[0].tolist() == [[255, 255, 255], [0, 0, 255]]
    gif = Image.new("P", (2, 1))
    gif.putpalette([255, 0, 0, 0, 0, 255])
    gif.putpixel((1, 0), 1)
    assert pixels(encoded(gif, "GIF", transparency=0))[0].tolist() == [[255, 255, 255], [0, 0, 255]]


@pytest.mark.parametrize(
    ("cmyk", "rgb"),
    [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((255, 0, 0, 0), (0, 255, 255)), ((0, 0, 0, 128), (127,) * 3)],
)
def test_g9_cmyk_is_right_also_in_jpegs_which_store_it_inverted(cmyk, rgb):
    image = Image.new("CMYK", (16, 16), cmyk)
    for source in (image, encoded(image, "TIFF"), encoded(image, "JPEG", quality=100)):
        assert np.abs(pixels(source)[8, 8] - rgb).max() <= 3


def srgb_of_lab(lightness, a, b):
    """CIELAB under D50 to 8-bit sRGB, by the textbook (Bradford-adapted matrix of B. Lindbloom)."""
    y = (lightness + 16) / 116
    curve = [f**3 if f > 6 / 29 else 3 * (6 / 29) ** 2 * (f - 4 / 29) for f in (y + a / 500, y, y - b / 200)]
    matrix = [[3.1338561, -1.6168667, -0.4906146], [-0.9787684, 1.9161415, 0.0334540], [0.0719453, -0.2289914, 1.4052427]]
    linear = np.array(matrix) @ (np.array(curve) * [0.9642, 1.0, 0.8251])
    return 255 * np.where(linear > 0.0031308, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055, 12.92 * linear)


@pytest.mark.parametrize(("lightness", "a", "b"), [(50, 0, 0), (60, 30, 20), (40, -20, 15), (70, 5, -25)])
def test_g9_lab_is_converted_by_the_textbook(lightness, a, b):
    image = Image.new("LAB", (1, 1), (round(lightness * 2.55), a + 128, b + 128))
    assert np.abs(pixels(image)[0, 0] - srgb_of_lab(round(lightness * 2.55) / 2.55, a, b)).max() <= 3


def test_g9_other_colour_spaces_are_converted():
    assert np.abs(pixels(BLOCKS.convert("YCbCr")) - np.asarray(BLOCKS)).max() <= 3
    assert np.abs(pixels(BLOCKS.convert("HSV")) - np.asarray(BLOCKS)).max() <= 12


def test_the_callers_image_is_left_as_it_was():
    image = Image.new("RGBA", (4, 3), (255, 0, 0, 0))
    image.info["exif"] = orientation(6).tobytes()
    before = image.tobytes(), image.size, dict(image.info)
    assert load_image(image).size == (3, 4)
    assert (image.tobytes(), image.size, dict(image.info)) == before


def test_a_closed_or_truncated_pillow_image_is_a_media_error(tmp_path):
    closed = Image.new("RGB", (4, 4))
    closed.close()
    path = tmp_path / "cut.jpg"
    path.write_bytes(FILES["jpeg"][:-400])
    with pytest.raises(MediaError, match="damaged"):
        load_image(closed)
    with Image.open(path) as cut, pytest.raises(MediaError, match="damaged"):
        load_image(cut)
    with pytest.raises(MediaError, match="0×5 pixels"):
        load_image(Image.new("RGB", (0, 5)))


def test_a_long_path_is_shortened_in_the_message():
    with pytest.raises(MediaError) as failure:
        load_image("a/" * 2000 + "missing.png")
    assert len(str(failure.value)) < 400


def test_orientation_agrees_with_pillow_on_every_value():
    for value in range(1, 9):
        data = encoded(BLOCKS, "PNG", exif=orientation(value))
        image = load_image(data)
        assert image.size == ((64, 48) if value < 5 else (48, 64))
        reference = BLOCKS.copy()
        reference.getexif()[0x0112] = value
        assert np.array_equal(np.asarray(image), np.asarray(ImageOps.exif_transpose(reference)))


def test_g17_a_jpeg_of_ten_thousand_scans_ends_at_the_limit_of_processor_time(monkeypatch):
    data = encoded(Image.new("L", (4000, 4000), 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    poisoned = data[:last] + (data[last:-2]) * 10_000 + data[-2:]
    assert len(poisoned) < ImageLimits().max_bytes
    reader = READERS["picture"]
    monkeypatch.setitem(READERS, "picture", replace(reader, limits=replace(reader.limits, cpu_seconds=0, seconds=30)))
    began = time.perf_counter()
    with pytest.raises(MediaError, match="took more than 0 s of processor time") as caught:
        load_image(poisoned)
    assert caught.value.code == "media_timeout"
    assert time.perf_counter() - began < 10
    assert reader.limits.cpu_seconds <= 5


def test_g18_heic_is_read_with_an_extra_that_the_message_names(monkeypatch):
    monkeypatch.setattr(frames, "find_spec", lambda name: None)
    for brand in (b"heic", b"mif1"):
        with pytest.raises(MediaError, match=r"an HEIC picture; .*pip install 'kimi-vl\[heif\]'"):
            load_image(b"\0\0\0\x18ftyp" + brand + b"\0\0\0\0mif1heic" + HEAD)
    # The brand mif1 alone says "some coded still"; what it is compatible with decides.
    with pytest.raises(MediaError, match="damaged or truncated AVIF"):
        load_image(b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif" + HEAD)


@pytest.mark.parametrize("value", [3, 6])
def test_g8_g18_an_heic_picture_is_turned_once_and_keeps_its_pixels(value):
    """Without loss but for the rounding of colours, and upright as a PNG with the same tag."""
    exif = orientation(value).tobytes()
    picture = load_image(heic(BLOCKS, quality=-1, exif=exif))
    expected = load_image(encoded(BLOCKS, "PNG", exif=exif))
    assert picture.size == expected.size
    assert np.abs(np.asarray(picture).astype(int) - np.asarray(expected)).max() <= 1


def test_g5_g18_an_heic_picture_over_the_limits_is_refused():
    with pytest.raises(MediaError, match="at most 2,000 pixels and 16,384 on a side are read") as caught:
        load_image(heic(BLOCKS), limits=ImageLimits(max_pixels=2000))
    assert caught.value.code == "image_too_large"


def test_g20_a_file_that_is_a_picture_an_archive_and_a_page_at_once_is_the_picture():
    polyglot = FILES["png"] + b"PK\x03\x04<html><script>alert(1)</script>%PDF-1.7"
    assert np.array_equal(pixels(polyglot), np.asarray(BLOCKS))


def test_a_stream_is_read_to_its_end_or_its_limit():
    assert np.array_equal(pixels(BytesIO(FILES["png"])), np.asarray(BLOCKS))
    with pytest.raises(MediaError, match="standard input is larger than the limit of 100 bytes"):
        load_image(BytesIO(FILES["png"]), limits=ImageLimits(max_bytes=100))


@pytest.mark.parametrize("error", [ZeroDivisionError, OverflowError, RuntimeError, SyntaxError, EOFError])
def test_g4_whatever_a_decoder_raises_on_a_damaged_file_is_called_that(error, monkeypatch):
    def load(self):
        raise error("its numbers make no sense")

    image = Image.new("L", (4, 4))
    monkeypatch.setattr(Image.Image, "load", load)
    with pytest.raises(MediaError, match="damaged or truncated L picture \\(its numbers make no sense\\)") as caught:
        load_image(image)
    assert caught.value.code == "invalid_image"
