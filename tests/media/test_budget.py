"""RELIABILITY G6: what a request's pictures take together."""

import numpy as np
import pytest
from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.llm import look_at, seeing
from kimi_vl.media import ImageLimits, open_medium, rgb
from kimi_vl.media.budget import MAX_DECODED_BYTES, DecodedBudget
from tests.media.pictures import blocks, claimed_size, encoded
from tests.tiny_checkpoint import processor

BLOCKS = encoded(blocks(), "PNG")  # 64 × 48


def opened(budget, source, **options):
    return open_medium(source, budget=budget, **options).image


def refusal(action):
    with pytest.raises(MediaError) as caught:
        action()
    return caught.value.code, str(caught.value)


def test_g6_of_twenty_pictures_of_30_megapixels_the_sixth_is_refused_before_it_is_decoded():
    data = claimed_size(6000, 5000)
    budget = DecodedBudget()
    for _ in range(MAX_DECODED_BYTES // 90_000_000):
        assert opened(budget, data).size == (6000, 5000)
    assert budget.spent == 450_000_000
    # Cut off behind its header, it would be called truncated if anybody had tried to decode it.
    for broken in (data, data[:100]):
        assert refusal(lambda broken=broken: opened(budget, broken)) == (
            "media_too_large",
            "the file is 6,000×5,000 pixels, and the pictures before it leave room for 28,956,970 in this request; "
            "pass fewer or smaller ones",
        )
    assert budget.spent == 450_000_000
    assert opened(budget, BLOCKS).size == (64, 48)


def test_a_budget_is_spent_to_its_last_byte_and_by_pillow_images_too(monkeypatch):
    budget = DecodedBudget(3 * 64 * 48 * 2)
    opened(budget, BLOCKS)
    opened(budget, Image.new("L", (64, 48)))
    assert budget.left == 0
    monkeypatch.setattr(rgb, "to_rgb", lambda image: pytest.fail("it was decoded"))
    assert refusal(lambda: opened(budget, Image.new("L", (1, 1))))[0] == "media_too_large"


def test_what_is_refused_by_its_own_limits_is_not_counted():
    budget = DecodedBudget()
    assert refusal(lambda: opened(budget, BLOCKS, limits=ImageLimits(max_side=50)))[0] == "image_too_large"
    assert budget.spent == 0


def test_frames_of_a_video_are_counted_as_they_come():
    budget = DecodedBudget(3 * 100)
    budget.spend(10, 9, "frame 1")
    assert refusal(lambda: budget.spend(11, 1, "frame 2")) == (
        "media_too_large",
        "frame 2 is 11×1 pixels, and the pictures before it leave room for 10 in this request; pass fewer or smaller ones",
    )
    budget.spend(10, 1, "frame 3")
    assert (budget.spent, budget.left) == (300, 0)


def test_within_a_budget_a_picture_is_the_same():
    assert np.array_equal(np.asarray(opened(DecodedBudget(), BLOCKS)), np.asarray(blocks()))


def test_g6_the_pictures_of_a_question_are_counted_together(monkeypatch, tmp_path):
    monkeypatch.setattr(seeing, "MAX_HELD_BYTES", 3 * 64 * 48 * 5)
    blocks().save(tmp_path / "scan.tif", save_all=True, append_images=[blocks(), blocks()])
    look_at(processor(), 16_384, "What?", [BLOCKS] * 5).close()
    look_at(processor(), 16_384, "What?", [BLOCKS, tmp_path / "scan.tif", BLOCKS]).close()
    message = "the file is 64×48 pixels, and the pictures before it leave room for 0 in this request; pass fewer or smaller ones"
    for media in ([BLOCKS] * 6, [BLOCKS, BLOCKS, tmp_path / "scan.tif", BLOCKS]):
        assert refusal(lambda media=media: look_at(processor(), 16_384, "What?", media)) == ("media_too_large", message)
