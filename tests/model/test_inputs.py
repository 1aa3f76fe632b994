"""What the network refuses, and what it says: every wrong tensor is a ShapeError that names the value and what would be right."""

import pytest
import torch

from kimi_vl.errors import CapacityError, ShapeError
from kimi_vl.model.patches import PatchLayout, grid_layout
from tests import tolerances
from tests.parity.checks import CASE, assert_within
from tests.parity.tiny_reference import make_inputs

PIXELS = CASE.pixel_values[:60]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (torch.tensor(3), r"input_ids is \[\]; it must be \[T\] or \[B, T\]"),
        (torch.empty(0, dtype=torch.int64), r"input_ids is \[0\].*not empty"),
        (torch.zeros(1, 1, 1, dtype=torch.int64), r"input_ids is \[1, 1, 1\]"),
        (torch.tensor([512]), "integers from 0 to 511"),
        (torch.tensor([-1]), "integers from 0 to 511"),
        (torch.tensor([1.0]), r"input_ids \(torch.float32\) must be integers"),
        (torch.tensor([True]), r"input_ids \(torch.bool\) must be integers"),
    ],
    ids=["scalar", "empty", "three dimensions", "beyond the vocabulary", "negative", "floating point", "bool"],
)
def test_input_ids_that_are_no_sequence_of_tokens_are_refused(tiny_model, ids, message):
    with pytest.raises(ShapeError, match=message):
        tiny_model(ids)


@pytest.mark.parametrize(
    ("pixels", "grids", "message"),
    [
        (PIXELS, [(4, 10)], r"pixel_values is \[60, 3, 14, 14\]; the grids \[\(4, 10\)\] need \[40, 3, 14, 14\]"),
        (PIXELS.flatten(1), [(6, 10)], r"pixel_values is \[60, 588\]"),
        (PIXELS[..., :12], [(6, 10)], r"pixel_values is \[60, 3, 14, 12\]"),
        (PIXELS.byte(), [(6, 10)], "pixel_values are torch.uint8; the network takes normalised floats"),
        (PIXELS, torch.tensor([6, 10]), r"image_grid_hws is \[2\] .*must be integers \[images, 2\]"),
        (PIXELS, torch.tensor([[1, 6, 10]]), r"image_grid_hws is \[1, 3\]"),
        (PIXELS, torch.tensor([[6.0, 10.0]]), r"image_grid_hws is \[1, 2\] of torch.float32"),
        (PIXELS[:0], torch.empty(0, 2, dtype=torch.int64), "no image: a patch layout needs at least one grid"),
        (PIXELS[:12], [(3, 4)], "grid of 3 x 4 patches; both sides must be even and between 2 and 512"),
        (PIXELS[:20], [(4, 5)], "grid of 4 x 5 patches"),
        (PIXELS, [(-6, -10)], "grid of -6 x -10 patches"),
        (PIXELS[:0], [(0, 4)], "grid of 0 x 4 patches"),
        (torch.zeros(1028, 3, 14, 14), [(2, 514)], "grid of 2 x 514 patches"),
    ],
    ids=[
        "too many",
        "flat",
        "cut",
        "bytes",
        "one pair",
        "frames",
        "floats",
        "none",
        "odd height",
        "odd width",
        "negative",
        "empty side",
        "beyond the table",
    ],
)
def test_images_that_do_not_fit_their_grids_are_refused(tiny_model, pixels, grids, message):
    with pytest.raises(ShapeError, match=message):
        tiny_model.image_features(pixels, grids)


def test_placeholders_and_features_must_match_in_number(tiny_model):
    with pytest.raises(ShapeError, match="holds 23 image placeholder tokens and the images give 0 features"):
        tiny_model(CASE.input_ids)
    with pytest.raises(ShapeError, match="holds 0 image placeholder tokens and the images give 23 features"):
        tiny_model(torch.tensor([1, 2]), CASE.pixel_values, CASE.grids)
    with pytest.raises(ShapeError, match="holds 22 image placeholder tokens and the images give 23 features"):
        tiny_model(CASE.input_ids[6:], CASE.pixel_values, CASE.grids)


def test_pixels_and_grids_come_together(tiny_model):
    with pytest.raises(ShapeError, match="pixel_values came without image_grid_hws"):
        tiny_model(CASE.input_ids, CASE.pixel_values)
    with pytest.raises(ShapeError, match="image_grid_hws came without pixel_values"):
        tiny_model(torch.tensor([1, 2]), None, CASE.grids)


def test_grids_may_be_tensors_or_pairs_and_ids_int32(tiny_model):
    expected = CASE.logits(tiny_model)
    assert torch.equal(tiny_model(CASE.input_ids.int(), CASE.pixel_values, torch.tensor(CASE.grids)), expected)


def test_one_sequence_and_a_batch_of_one_give_the_same_logits_with_and_without_the_batch_dimension(tiny_model):
    alone = CASE.logits(tiny_model)
    batch = tiny_model(CASE.input_ids[None], CASE.pixel_values, CASE.grids)
    assert alone.shape == (35, 512)
    assert torch.equal(batch, alone[None])
    assert alone.dtype == torch.float32


def test_a_prompt_of_a_single_token_or_of_placeholders_only_works(tiny_model):
    assert tiny_model(torch.tensor([3])).shape == (1, 512)
    ids, pixels = make_inputs(CASE.config, [(2, 2)])
    placeholder_only = ids[ids == 500]
    assert_within(
        tiny_model(placeholder_only, pixels, [(2, 2)])[0], tiny_model(torch.tensor([500, 7]), pixels, [(2, 2)])[0], tolerances.REGROUPED
    )


def test_a_step_takes_the_next_tokens_of_one_sequence(tiny_model):
    for ids in (torch.empty(0, dtype=torch.int64), torch.zeros(1, 3, dtype=torch.int64)):
        with pytest.raises(ShapeError, match=r"a step takes the next tokens of one sequence"):
            tiny_model.step(ids, tiny_model.new_cache(4))


def test_a_full_cache_is_an_error_that_keeps_nothing_of_the_refused_tokens(tiny_model):
    cache = tiny_model.new_cache(6)
    tiny_model.step(torch.tensor([1, 2, 3, 4]), cache)
    kept = cache.rows_NSZ[:, :4].clone()
    with pytest.raises(CapacityError, match="the latent cache holds 6 tokens and 7 are needed"):
        tiny_model.step(torch.tensor([5, 6, 7]), cache)
    assert cache.length == 4
    assert torch.equal(cache.rows_NSZ[:, :4], kept)
    expected = tiny_model(torch.tensor([1, 2, 3, 4, 5, 6]))[-1]
    assert_within(tiny_model.step(torch.tensor([5, 6]), cache), expected, tolerances.REGROUPED)


def test_layouts_of_one_size_are_computed_once_and_not_changed_by_use(tiny_model):
    grid_layout.cache_clear()
    first = grid_layout(6, 10, 8, 8)
    kept = [field.copy() for field in (first.rows_P, first.columns_P, first.tap_index_P16, first.tap_weight_P16, first.merge_index_M4)]
    layout = PatchLayout.of([(6, 10), (6, 10)], (8, 8))
    layout.merge_index_M4.add_(1000)
    layout.rows_P.zero_()
    alone = PatchLayout.of([(6, 10)], (8, 8))  # one image: nothing to concatenate, still its own memory
    alone.tap_weight_P16.zero_()
    assert grid_layout(6, 10, 8, 8) is first
    for before, after in zip(
        kept, (first.rows_P, first.columns_P, first.tap_index_P16, first.tap_weight_P16, first.merge_index_M4), strict=True
    ):
        assert (before == after).all()


def test_the_four_patches_of_a_cell_come_in_reading_order():
    layout = PatchLayout.of([(2, 4), (4, 2)], (8, 8))
    assert layout.merge_index_M4.tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 10, 11], [12, 13, 14, 15]]
    assert layout.rows_P.tolist() == [0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 2, 2, 3, 3]
    assert layout.columns_P.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 0, 1, 0, 1, 0, 1]
    assert layout.cu_seqlens.tolist() == [0, 8, 16]
    assert layout.max_seqlen == 8
