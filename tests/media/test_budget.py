"""RELIABILITY G6: what a request's pictures take together."""

import numpy as np
import pytest
from PIL import Image

from kimi_vl.errors import MediaError
from kimi_vl.media import ImageLimits, rgb
from kimi_vl.media.budget import MAX_DECODED_BYTES, DecodedBudget
from tests.media.pictures import blocks, claimed_size, encoded

BLOCKS = encoded(blocks(), "PNG")  # 64 × 48


def refusal(action):
    with pytest.raises(MediaError) as caught:
        action()
    return caught.value.code, str(caught.value)


def test_g6_of_twenty_pictures_of_30_megapixels_the_sixth_is_refused_before_it_is_decoded():
    data = claimed_size(6000, 5000)
    budget = DecodedBudget()
    for _ in range(MAX_DECODED_BYTES // 90_000_000):
        assert budget.load_image(data).size == (6000, 5000)
    assert budget.spent == 450_000_000
    # Cut off behind its header, it would be called truncated if anybody had tried to decode it.
    for broken in (data, data[:100]):
        assert refusal(lambda broken=broken: budget.load_image(broken)) == (
            "media_too_large",
            "the image is 6,000×5,000 pixels, and the pictures before it leave room for 28,956,970 in this request; "
            "pass fewer or smaller ones",
        )
    assert budget.spent == 450_000_000
    assert budget.load_image(BLOCKS).size == (64, 48)


def test_a_budget_is_spent_to_its_last_byte_and_by_pillow_images_too(monkeypatch):
    budget = DecodedBudget(3 * 64 * 48 * 2)
    budget.load_image(BLOCKS)
    budget.load_image(Image.new("L", (64, 48)))
    assert budget.left == 0
    monkeypatch.setattr(rgb, "to_rgb", lambda image: pytest.fail("it was decoded"))
    assert refusal(lambda: budget.load_image(Image.new("L", (1, 1))))[0] == "media_too_large"


def test_what_is_refused_by_its_own_limits_is_not_counted():
    budget = DecodedBudget()
    assert refusal(lambda: budget.load_image(BLOCKS, limits=ImageLimits(max_side=50)))[0] == "image_too_large"
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
    assert np.array_equal(np.asarray(DecodedBudget().load_image(BLOCKS)), np.asarray(blocks()))
