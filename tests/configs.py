"""Two config.json contents the tests share: the official 16B model, and the toy that the golden numbers belong to."""

import copy
from typing import Any

# MODEL_SPEC §1.1 to §1.3, with the bookkeeping keys that the official file carries.
OFFICIAL: dict[str, Any] = {
    "architectures": ["KimiVLForConditionalGeneration"],
    "auto_map": {"AutoConfig": "configuration_kimi_vl.KimiVLConfig"},
    "model_type": "kimi_vl",
    "media_placeholder_token_id": 163605,
    "ignore_index": -100,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.50.3",
    "tie_word_embeddings": False,
    "vision_config": {
        "model_type": "moonvit",
        "patch_size": 14,
        "hidden_size": 1152,
        "num_attention_heads": 16,
        "num_hidden_layers": 27,
        "intermediate_size": 4304,
        "init_pos_emb_height": 64,
        "init_pos_emb_width": 64,
        "merge_kernel_size": [2, 2],
    },
    "text_config": {
        "model_type": "deepseek_v3",
        "vocab_size": 163840,
        "hidden_size": 2048,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "num_key_value_heads": 16,
        "max_position_embeddings": 131072,
        "intermediate_size": 11264,
        "moe_intermediate_size": 1408,
        "n_routed_experts": 64,
        "n_shared_experts": 2,
        "num_experts_per_tok": 6,
        "first_k_dense_replace": 1,
        "moe_layer_freq": 1,
        "scoring_func": "sigmoid",
        "topk_method": "noaux_tc",
        "n_group": 1,
        "topk_group": 1,
        "norm_topk_prob": True,
        "routed_scaling_factor": 2.446,
        "aux_loss_alpha": 0.001,
        "seq_aux": True,
        "ep_size": 1,
        "q_lora_rank": None,
        "kv_lora_rank": 512,
        "qk_nope_head_dim": 128,
        "qk_rope_head_dim": 64,
        "v_head_dim": 128,
        "hidden_act": "silu",
        "rope_theta": 800000.0,
        "rope_scaling": None,
        "rms_norm_eps": 1e-5,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "bos_token_id": 163584,
        "eos_token_id": 163585,
        "pad_token_id": 163839,
        "tie_word_embeddings": False,
    },
}

# The toy of the specification's independent reference.
TINY: dict[str, Any] = copy.deepcopy(OFFICIAL)
TINY["media_placeholder_token_id"] = 500
TINY["vision_config"].update(
    hidden_size=48, num_attention_heads=4, num_hidden_layers=2, intermediate_size=80, init_pos_emb_height=8, init_pos_emb_width=8
)
TINY["text_config"].update(
    vocab_size=512,
    hidden_size=64,
    num_hidden_layers=3,
    num_attention_heads=4,
    num_key_value_heads=4,
    max_position_embeddings=4096,
    intermediate_size=96,
    moe_intermediate_size=24,
    n_routed_experts=8,
    num_experts_per_tok=3,
    kv_lora_rank=32,
    qk_nope_head_dim=24,
    qk_rope_head_dim=16,
    v_head_dim=20,
    bos_token_id=1,
    eos_token_id=2,
    pad_token_id=0,
)
