"""ImageProcessor: the sizes of MODEL_SPEC §5.1, and every value bit for bit."""

import json
import math
import random
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from kimi_vl.errors import ConfigError, InputError, MediaError
from kimi_vl.media import load_image
from kimi_vl.processor import ImageProcessor, ImageProcessorConfig
from tests.media.pictures import encoded, orientation

FACTS = {
    "in_token_limit": 4096,
    "patch_size": 14,
    "merge_kernel_size": [2, 2],
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
    "pad_input": True,
}


def image_processor(**changes):
    return ImageProcessor(ImageProcessorConfig.from_dict({**FACTS, **changes}))


SMALL, LARGE = image_processor(), image_processor(in_token_limit=16384)

# input: (padded size, tokens) for the limits 4096 and 16384, from the table in §5.1.
SIZES = {
    (1, 1): ((28, 28, 1), (28, 28, 1)),
    (224, 224): ((224, 224, 64), (224, 224, 64)),
    (448, 448): ((448, 448, 256), (448, 448, 256)),
    (640, 480): ((644, 504, 414), (644, 504, 414)),
    (672, 448): ((672, 448, 384), (672, 448, 384)),
    (896, 896): ((896, 896, 1024), (896, 896, 1024)),
    (897, 897): ((924, 924, 1089), (924, 924, 1089)),
    (1024, 768): ((1036, 784, 1036), (1036, 784, 1036)),
    (1280, 720): ((1204, 700, 1075), (1288, 728, 1196)),
    (1920, 1080): ((1204, 672, 1032), (1932, 1092, 2691)),
    (1792, 1792): ((896, 896, 1024), (1792, 1792, 4096)),
    (2000, 2000): ((924, 924, 1089), (1820, 1820, 4225)),
    (3840, 2160): ((1204, 672, 1032), (2408, 1372, 4214)),
    (4032, 3024): ((1036, 784, 1036), (2072, 1568, 4144)),
    (1240, 1754): ((756, 1092, 1053), (1260, 1764, 2835)),
}


def reference(image, limit, mean=(0.5,) * 3, std=(0.5,) * 3):
    """§5.1 for an RGB picture, patch by patch in numpy."""
    width, height = image.size
    patches = (width // 14) * (height // 14)
    if patches > limit:
        scale = math.sqrt(limit / patches)
        image = image.resize((int(width * scale), int(height * scale)), Image.Resampling.BICUBIC)
    rows, columns = -(-image.height // 28) * 2, -(-image.width // 28) * 2
    padded = Image.new("RGB", (columns * 14, rows * 14), (0, 0, 0))
    padded.paste(image, (0, 0))
    values = np.asarray(padded).astype(np.float32) / np.float32(255)
    values = (values - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)
    out = np.empty((rows * columns, 3, 14, 14), np.float32)
    for row in range(rows):
        for column in range(columns):
            out[row * columns + column] = values[row * 14 : row * 14 + 14, column * 14 : column * 14 + 14].transpose(2, 0, 1)
    return out, (rows, columns)


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def assert_same(pixel_values, expected):
    """Equal to the bit, signs of zero included."""
    assert pixel_values.dtype == torch.float32
    assert pixel_values.is_contiguous()
    assert np.array_equal(pixel_values.numpy().view(np.int32), expected.view(np.int32))


@pytest.mark.parametrize("size", SIZES)
def test_sizes_and_tokens_are_those_of_the_specification(size):
    for processor, (width, height, tokens) in zip((SMALL, LARGE), SIZES[size], strict=True):
        rows, columns = processor.grid_hw(*size)
        assert (columns * 14, rows * 14, processor.token_count(*size)) == (width, height, tokens)


def test_the_worst_legal_cases_of_the_specification_are_met():
    assert SMALL.token_count(153, 6655) == 1326
    assert LARGE.token_count(489, 7097) == 4464


@pytest.mark.parametrize("size", [(1, 1), (13, 13), (27, 29), (224, 224), (300, 140), (897, 500), (1280, 720), (60, 7000)])
@pytest.mark.parametrize("limit", [64, 4096])
def test_pixel_values_equal_the_reference_bit_for_bit(size, limit):
    if limit == 64 and size == (60, 7000):
        size = (60, 3000)
    image = noise(*size)
    expected, grid = reference(image, limit)
    pixel_values, grid_hws = image_processor(in_token_limit=limit)([image])
    assert grid_hws.tolist() == [list(grid)]
    assert grid_hws.dtype == torch.int64
    assert_same(pixel_values, expected)


def test_every_byte_value_is_normalised_as_the_reference_does_with_other_statistics():
    image = Image.fromarray(np.arange(28 * 28 * 3, dtype=np.uint32).reshape(28, 28, 3).astype(np.uint8))
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    pixel_values, _ = image_processor(image_mean=mean, image_std=std)([image])
    assert_same(pixel_values, reference(image, 4096, mean, std)[0])


def test_several_images_are_packed_one_after_another():
    images = [noise(300, 140, 1), noise(20, 90, 2), noise(1000, 1000, 3)]
    pixel_values, grid_hws = SMALL(iter(images))
    expected, grids = zip(*(reference(image, 4096) for image in images), strict=True)
    assert grid_hws.tolist() == [list(grid) for grid in grids]
    assert_same(pixel_values, np.concatenate(expected))


def test_no_image_gives_empty_tensors():
    pixel_values, grid_hws = SMALL([])
    assert pixel_values.shape == (0, 3, 14, 14)
    assert grid_hws.shape == (0, 2)


def test_padding_is_black_on_the_right_and_below():
    pixel_values, _ = SMALL([Image.new("RGB", (30, 15), "white")])
    picture = pixel_values.view(2, 4, 3, 14, 14).permute(0, 3, 1, 4, 2).reshape(28, 56, 3)
    assert (picture[:15, :30] == 1).all()
    assert (picture[15:] == -1).all()
    assert (picture[:, 30:] == -1).all()


def test_a_picture_is_never_scaled_up():
    assert SMALL.resized_size(100, 50) == (100, 50)
    assert SMALL.resized_size(1792, 1792) == (896, 896)
    assert SMALL.resized_size(1280, 720) == (1202, 676)


@pytest.mark.parametrize("size", [(100, 8000), (8000, 100), (1, 60000), (60000, 1), (28, 7168), (28, 7141)])
def test_an_elongated_picture_is_refused_with_its_aspect_ratio(size):
    ratio = max(size) / min(size)
    with pytest.raises(MediaError, match=rf"{size[0]}×{size[1]} pixels is too elongated \(aspect ratio {ratio:,.0f}:1\).*Exceed pos emb"):
        LARGE.token_count(*size)


def test_the_elongation_limit_is_511_patches_of_the_padded_side():
    assert LARGE.token_count(28, 7140) == 255
    with pytest.raises(MediaError, match="512×2"):
        LARGE.token_count(28, 7141)


def test_elongated_pictures_are_refused_before_they_are_scaled():
    with pytest.raises(MediaError, match="too elongated"):
        SMALL([Image.new("L", (16000, 3))])


def test_a_side_that_would_vanish_is_refused():
    with pytest.raises(MediaError, match="too elongated"):
        image_processor(in_token_limit=4).token_count(14, 14_000)


def test_any_size_has_a_token_count_or_a_media_error():
    generator = random.Random(0)
    sizes = [(1, 1), (13, 13), (7167, 7168), (7168, 7167), (14, 7168)]
    sizes += [(int(2 ** generator.uniform(0, 14)), int(2 ** generator.uniform(0, 14))) for _ in range(10_000)]
    refused = 0
    for width, height in sizes:
        processor = generator.choice((SMALL, LARGE))
        resized = processor.resized_size(width, height)
        try:
            rows, columns = processor.grid_hw(width, height)
        except MediaError:
            assert max(resized) > 255 * 28 or min(resized) == 0
            refused += 1
            continue
        assert rows % 2 == columns % 2 == 0
        assert max(rows, columns) < 512
        assert processor.token_count(width, height) == rows * columns // 4 <= 4464
        assert all(0 <= padded * 14 - side < 28 for padded, side in zip((columns, rows), resized, strict=True))
    assert 0 < refused < 1500


def test_token_counts_equal_what_the_call_makes():
    generator = random.Random(0)
    processor = image_processor(in_token_limit=256)
    for _ in range(60):
        width, height = generator.randrange(1, 700), generator.randrange(1, 700)
        pixel_values, grid_hws = processor([Image.new("RGB", (width, height))])
        assert len(pixel_values) == grid_hws.prod().item() == 4 * processor.token_count(width, height)


def on_white(rgba):
    values = np.asarray(rgba).astype(float)
    alpha = values[..., 3:] / 255
    return Image.fromarray(np.rint(values[..., :3] * alpha + 255 * (1 - alpha)).astype(np.uint8))


def test_other_modes_become_rgb_on_white_before_the_resize():
    processor = image_processor(in_token_limit=64)
    rgba = np.dstack([np.asarray(noise(200, 160)), np.random.default_rng(1).integers(0, 256, (160, 200), dtype=np.uint8)])
    translucent = Image.fromarray(rgba)
    palette = noise(200, 160).quantize(64)
    gray = noise(200, 160).convert("L")
    for image, rgb, tolerance in (
        (translucent, on_white(translucent), 2 * 2 / 255),
        (palette, palette.convert("RGB"), 0),
        (gray, gray.convert("RGB"), 0),
        (gray.convert("1"), gray.convert("1").convert("RGB"), 0),
    ):
        expected, _ = reference(rgb, 64)
        assert np.abs(processor([image])[0].numpy() - expected).max() <= tolerance


def test_the_order_of_resize_and_conversion_differs_from_the_official_one_on_purpose():
    palette = noise(200, 160).quantize(64)
    width, height = image_processor(in_token_limit=64).resized_size(200, 160)
    official, _ = reference(palette.resize((width, height), Image.Resampling.BICUBIC).convert("RGB"), 64)
    ours = image_processor(in_token_limit=64)([palette])[0].numpy()
    assert np.abs(ours - official).max() > 0.5


def test_an_image_that_pillow_opened_is_set_upright_first():
    image = noise(60, 20)
    with Image.open(BytesIO(encoded(image, "PNG", exif=orientation(6)))) as lying:
        pixel_values, grid_hws = SMALL([lying])
    assert grid_hws.tolist() == [[6, 2]]
    assert_same(pixel_values, reference(image.transpose(Image.Transpose.ROTATE_270), 4096)[0])


def test_only_pictures_are_taken():
    with pytest.raises(InputError, match=r"takes PIL images, not str; use Processor\.images"):
        SMALL(["a.png"])


def write(folder, values):
    path = folder / "preprocessor_config.json"
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_the_official_file_is_read(tmp_path):
    official = {
        **FACTS,
        "auto_map": {"AutoImageProcessor": "image_processing_kimi_vl.KimiVLImageProcessor"},
        "num_pooled_tokens": 1024,
        "processor_class": "KimiVLProcessor",
        "image_processor_type": "KimiVLImageProcessor",
    }
    config = ImageProcessorConfig.from_file(write(tmp_path, official))
    assert config == SMALL.config
    assert config.image_mean == (0.5, 0.5, 0.5)
    assert ImageProcessorConfig.from_dict(config.to_dict()) == config
    del official["merge_kernel_size"]
    assert ImageProcessorConfig.from_file(write(tmp_path, official)) == SMALL.config


BAD_CONFIGS = {
    "limit missing": ({k: v for k, v in FACTS.items() if k != "in_token_limit"}, "in_token_limit is missing"),
    "mean missing": ({k: v for k, v in FACTS.items() if k != "image_mean"}, "image_mean is missing"),
    "padding missing": ({k: v for k, v in FACTS.items() if k != "pad_input"}, "pad_input is missing"),
    "typo": ({**FACTS, "in_token_limits": 5}, "unknown key 'in_token_limits'; did you mean 'in_token_limit'"),
    "foreign key": ({**FACTS, "zebra": 5}, "unknown key 'zebra'$"),
    "limit zero": ({**FACTS, "in_token_limit": 0}, "in_token_limit is 0; it must be an integer from 1"),
    "limit true": ({**FACTS, "in_token_limit": True}, "in_token_limit is True"),
    "limit text": ({**FACTS, "in_token_limit": "4096"}, "in_token_limit is '4096'"),
    "limit absurd": ({**FACTS, "in_token_limit": 1 << 40}, "in_token_limit is 1099511627776"),
    "patch negative": ({**FACTS, "patch_size": -14}, "patch_size is -14"),
    "crop": ({**FACTS, "pad_input": False}, "pad_input is False; only true is supported"),
    "padding one": ({**FACTS, "pad_input": 1}, "pad_input is 1;"),
    "merge": ({**FACTS, "merge_kernel_size": [4, 4]}, "merge_kernel_size is .4, 4.; only .2, 2. is supported"),
    "merge number": ({**FACTS, "merge_kernel_size": 2}, "merge_kernel_size is 2"),
    "mean of two": ({**FACTS, "image_mean": [0.5, 0.5]}, "image_mean is .* three finite numbers"),
    "mean of words": ({**FACTS, "image_mean": ["a", "b", "c"]}, "image_mean is .* three finite numbers"),
    "mean a number": ({**FACTS, "image_mean": 0.5}, "image_mean is 0.5; it must be three"),
    "deviation zero": ({**FACTS, "image_std": [0.5, 0, 0.5]}, "a standard deviation must be positive"),
    "deviation infinite": (json.dumps(FACTS).replace('std": [0.5', 'std": [Infinity'), "image_std is .* three finite numbers"),
    "a list": ([FACTS], "must be a JSON object, not list"),
    "no JSON": ("{", "not readable JSON"),
    "too deep": ("[" * 200_000, "not readable JSON"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_a_bad_preprocessor_config_is_refused_by_file_and_key(tmp_path, case):
    values, message = BAD_CONFIGS[case]
    with pytest.raises(ConfigError, match=rf"(?s)preprocessor_config\.json.*{message}"):
        ImageProcessorConfig.from_file(write(tmp_path, values))


def test_a_missing_preprocessor_config_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="does not exist"):
        ImageProcessorConfig.from_file(tmp_path / "preprocessor_config.json")


def test_bytes_normalised_later_are_the_same_bits():
    processor = ImageProcessor(ImageProcessorConfig.from_dict(FACTS))
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 256, (61, 45, 3), dtype=np.uint8))
    patches, grids = processor.patches([picture])
    pixel_values, same_grids = processor([picture])
    assert patches.dtype == torch.uint8
    assert torch.equal(processor.normalised(patches), pixel_values)
    assert torch.equal(grids, same_grids)
    every = torch.arange(256, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    expected = (np.arange(256, dtype=np.float32) / np.float32(255) - np.float32(0.5)) / np.float32(0.5)
    assert processor.normalised(every)[:, 0, 0, 0].tolist() == expected.tolist()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1", "CMYK"])
@pytest.mark.parametrize("size", [(56, 28), (61, 45), (300, 200)])  # fits, is padded, is scaled down
def test_pictures_are_cut_into_the_reference_s_patches_wherever_that_is_done(mode, size):
    processor = image_processor(in_token_limit=64)
    image = noise(*size, 5).convert(mode)
    expected, grid = reference(load_image(image), 64)
    (picture,) = processor.pictures([image])
    patches, grids = processor.patches([image])
    assert picture.shape == (*grid, 3, 14, 14)
    assert picture.permute(0, 3, 1, 4, 2).is_contiguous()  # rows of pixels as they were: to send it is one copy
    assert torch.equal(picture.flatten(0, 1), patches)
    assert patches.is_contiguous()
    assert grids.tolist() == [list(grid)]
    assert_same(processor.normalised(patches), expected)
