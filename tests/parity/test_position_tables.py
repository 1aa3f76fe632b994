"""Position tables that are not square, where only the independent reference can judge (MODEL_SPEC §8, 1)."""

import pytest
import torch
import torch.nn.functional as F

from kimi_vl.model.patches import PatchLayout
from tests import tolerances
from tests.parity.checks import assert_within, values
from tests.parity.networks import Case
from tests.parity.tiny_reference import resized

TABLES = [(10, 12), (7, 16), (16, 7), (3, 5), (1, 9)]
GRIDS = [(6, 10), (2, 2), (14, 4), (2, 22)]


@pytest.mark.parametrize("table", TABLES, ids=str)
def test_features_and_logits_agree_with_the_reference_for_a_table_that_is_not_square(table):
    vision = {"init_pos_emb_height": table[0], "init_pos_emb_width": table[1], "hidden_size": 96, "num_attention_heads": 4}
    case = Case(resized(vision=vision), GRIDS, seed=table[0], output_gain=1.3)
    model = case.model()
    assert_within(model.image_features(case.pixel_values, case.grids), case.expected[0], tolerances.IMAGE_FEATURES)
    assert_within(case.logits(model), case.expected[1], tolerances.LOGITS)


@pytest.mark.parametrize("table", [(64, 64), (8, 8), *TABLES], ids=str)
@pytest.mark.parametrize("grid", [(64, 64), (2, 2), (30, 46), (2, 512), (100, 4)], ids=str)
def test_the_sixteen_taps_equal_torchs_bicubic_interpolation(table, grid):
    weight = values(*table, 6, seed=table[0] * 100 + table[1])
    layout = PatchLayout.of([grid], table)
    ours = F.embedding_bag(layout.tap_index_P16, weight.flatten(0, 1), per_sample_weights=layout.tap_weight_P16, mode="sum")
    expected = F.interpolate(weight.double().permute(2, 0, 1)[None], size=grid, mode="bicubic", align_corners=False)[0]
    assert_within(ours, expected.flatten(1).T, tolerances.POSITION_TABLE)


def test_a_grid_of_the_tables_own_size_takes_the_table_as_it_is():
    weight = values(8, 6, 5, seed=1)
    layout = PatchLayout.of([(8, 6)], (8, 6))
    ours = F.embedding_bag(layout.tap_index_P16, weight.flatten(0, 1), per_sample_weights=layout.tap_weight_P16, mode="sum")
    assert torch.equal(ours, weight.flatten(0, 1))
