"""Our network against transformers' implementation, on tiny configurations of many shapes."""

import pytest
import torch

from tests import tolerances
from tests.parity.checks import assert_within
from tests.parity.networks import Case
from tests.parity.oracle import Oracle
from tests.parity.tiny_reference import resized

CONFIGS = {
    "heads of 12, table 8, one dense layer, top 3 of 8, two shared": resized(),
    "heads of 24, table 12, two dense layers, top 2 of 4, one shared": resized(
        vision={"hidden_size": 48, "num_attention_heads": 2, "num_hidden_layers": 3, "init_pos_emb_height": 12, "init_pos_emb_width": 12},
        text={"num_hidden_layers": 4, "first_k_dense_replace": 2, "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1},
    ),
    "heads of 72 as in the real tower, table 16, top 4 of 16": resized(
        vision={
            "hidden_size": 144,
            "num_attention_heads": 2,
            "init_pos_emb_height": 16,
            "init_pos_emb_width": 16,
            "intermediate_size": 100,
        },
        text={"n_routed_experts": 16, "num_experts_per_tok": 4, "n_shared_experts": 1, "num_attention_heads": 2, "rope_theta": 50000.0},
    ),
    "rotary wider than nope, values wider than both, high rank, other factors": resized(
        vision={"hidden_size": 32, "num_attention_heads": 4, "num_hidden_layers": 1, "init_pos_emb_height": 5, "init_pos_emb_width": 5},
        text={
            "hidden_size": 48,
            "num_attention_heads": 3,
            "qk_nope_head_dim": 8,
            "qk_rope_head_dim": 24,
            "v_head_dim": 40,
            "kv_lora_rank": 56,
            "routed_scaling_factor": 1.25,
            "rms_norm_eps": 1e-6,
        },
    ),
    "weights of the experts not renormalised, every expert chosen": resized(
        vision={"hidden_size": 64, "num_attention_heads": 2, "num_hidden_layers": 2},
        text={"n_routed_experts": 4, "num_experts_per_tok": 4, "norm_topk_prob": False, "vocab_size": 700},
    ),
}
GRIDS = {
    "one image": [(6, 10)],
    "one image of four patches": [(2, 2)],
    "two images": [(14, 4), (2, 6)],
    "three images": [(2, 2), (6, 10), (4, 14)],
}


@pytest.fixture(scope="module", params=enumerate(CONFIGS), ids=lambda param: param[1])
def pair(request):
    """(a function that makes cases, our model, the oracle), with the same weights."""
    seed, name = request.param
    case = Case(CONFIGS[name], [], seed=seed + 1, output_gain=1.3)  # logits of 5 to 7; noise grows with them
    oracle = Oracle(case.config, case.weights)

    def make(grids):
        return Case(case.config, grids, seed=case.seed, output_gain=case.output_gain)

    return make, case.model(), oracle


@pytest.mark.parametrize("grids", GRIDS.values(), ids=GRIDS)
def test_features_and_logits_agree_with_transformers(pair, grids):
    make, model, oracle = pair
    case = make(grids)
    features, logits = oracle(case.input_ids, case.pixel_values, case.grids)
    assert 5.0 <= logits.abs().max() <= 20.0, "the tolerance is meant for logits of a real model's size"
    assert_within(model.image_features(case.pixel_values, grids), features, tolerances.IMAGE_FEATURES)
    ours = case.logits(model)
    assert_within(ours, logits, tolerances.LOGITS)
    assert torch.equal(ours.argmax(-1), logits.argmax(-1))
