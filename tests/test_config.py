"""A config.json is read strictly: what is missing, unknown, mistyped, absurd or unsupported is refused by name."""

import copy
import json

import pytest

from kimi_vl.config import REQUIRED_TEXT_VALUES, KimiVLConfig, TextConfig, VisionConfig
from kimi_vl.errors import ConfigError
from tests.configs import OFFICIAL, TINY

DELETE = object()


def changed(*path, value):
    """The toy config with one value replaced, or taken out."""
    values = copy.deepcopy(TINY)
    holder = values
    for key in path[:-1]:
        holder = holder[key]
    if value is DELETE:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return values


def refuses(values, message):
    with pytest.raises(ConfigError, match=message):
        KimiVLConfig.from_dict(values)


def test_the_official_config_parses_to_the_published_sizes():
    config = KimiVLConfig.from_dict(OFFICIAL)
    assert config.media_placeholder_token_id == 163605
    assert config.quantization is None
    assert config.vision_config == VisionConfig(
        patch_size=14,
        hidden_size=1152,
        num_attention_heads=16,
        num_hidden_layers=27,
        intermediate_size=4304,
        init_pos_emb_height=64,
        init_pos_emb_width=64,
        merge_kernel_size=(2, 2),
    )
    assert config.vision_config.head_dim == 72
    text = config.text_config
    assert (text.qk_head_dim, text.latent_dim, text.vocab_size, text.rope_theta, text.rms_norm_eps) == (192, 576, 163840, 800000.0, 1e-5)
    assert (text.n_routed_experts, text.num_experts_per_tok, text.n_shared_experts, text.first_k_dense_replace) == (64, 6, 2, 1)
    assert text.norm_topk_prob is True
    assert text.routed_scaling_factor == 2.446


@pytest.mark.parametrize("values", [OFFICIAL, TINY], ids=["official", "tiny"])
def test_a_config_written_and_read_back_is_equal(values, tmp_path):
    config = KimiVLConfig.from_dict(values)
    assert KimiVLConfig.from_dict(config.to_dict()) == config
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert KimiVLConfig.from_file(tmp_path / "config.json") == config


def test_a_quantised_config_says_so_and_round_trips():
    config = KimiVLConfig.from_dict(TINY | {"quantization_config": {"quant_method": "kimi_vl_int8"}})
    assert config.quantization == "int8"
    assert KimiVLConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize("key", ["transformers_version", "torch_dtype", "id2label", "return_dict", "pad_token_id", "_name_or_path"])
@pytest.mark.parametrize("part", [(), ("vision_config",), ("text_config",)], ids=["top", "vision", "text"])
def test_bookkeeping_keys_of_transformers_change_nothing(part, key):
    assert KimiVLConfig.from_dict(changed(*part, key, value="anything")) == KimiVLConfig.from_dict(TINY)


def test_parsing_leaves_the_dictionary_as_it_was():
    values = copy.deepcopy(OFFICIAL)
    KimiVLConfig.from_dict(values)
    assert values == OFFICIAL


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("text_config", "num_hiden_layers"), "text_config has an unknown key 'num_hiden_layers'; did you mean 'num_hidden_layers'"),
        (("vision_config", "init_pos_emb_hight"), "vision_config has an unknown key .*did you mean 'init_pos_emb_height'"),
        (("media_placeholder_token",), "config has an unknown key .*did you mean 'media_placeholder_token_id'"),
        (("text_config", "zzz"), "text_config has an unknown key 'zzz'$"),
    ],
    ids=["text", "vision", "top", "nothing near"],
)
def test_an_unknown_key_is_refused_and_the_nearest_known_one_named(path, message):
    refuses(changed(*path, value=1), message)


@pytest.mark.parametrize("key", [*TextConfig.__dataclass_fields__])
def test_every_fact_of_the_decoder_must_be_there(key):
    refuses(changed("text_config", key, value=DELETE), rf"text_config\.{key} is missing; it is a fact of the checkpoint")


@pytest.mark.parametrize("key", [key for key in VisionConfig.__dataclass_fields__ if key != "merge_kernel_size"])
def test_every_fact_of_the_vision_tower_must_be_there(key):
    refuses(changed("vision_config", key, value=DELETE), rf"vision_config\.{key} is missing; it is a fact of the checkpoint")


def test_the_merge_kernel_may_be_left_out_and_is_two_by_two():
    config = KimiVLConfig.from_dict(changed("vision_config", "merge_kernel_size", value=DELETE))
    assert config.vision_config.merge_kernel_size == (2, 2)


@pytest.mark.parametrize("part", ["vision_config", "text_config", "media_placeholder_token_id"])
def test_a_missing_part_is_named(part):
    refuses(changed(part, value=DELETE), f"{part} is missing")


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("text_config", "num_hidden_layers"), True, "num_hidden_layers is True; it must be of type int"),
        (("text_config", "num_hidden_layers"), 3.0, r"num_hidden_layers is 3\.0; it must be of type int"),
        (("text_config", "num_hidden_layers"), "3", "num_hidden_layers is '3'; it must be of type int"),
        (("text_config", "num_hidden_layers"), None, "num_hidden_layers is None"),
        (("text_config", "norm_topk_prob"), 1, "norm_topk_prob is 1; it must be of type bool"),
        (("text_config", "rope_theta"), True, "rope_theta is True; it must be of type float"),
        (("text_config", "rms_norm_eps"), "1e-5", "rms_norm_eps is '1e-5'; it must be of type float"),
        (("vision_config", "merge_kernel_size"), 2, "merge_kernel_size is 2; it must be a list of two integers"),
        (("vision_config", "merge_kernel_size"), [2.0, 2], "merge_kernel_size is .*; it must be a list of two integers"),
        (("vision_config", "merge_kernel_size"), [2, 2, 2], "merge_kernel_size is .*; it must be a list of two integers"),
        (("media_placeholder_token_id",), True, "media_placeholder_token_id is True; it must be of type int"),
        (("text_config",), [], "text_config is missing"),
        (("quantization_config",), {"quant_method": "fp8"}, "quant_method is 'fp8'; only 'kimi_vl_int8'"),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_refused(path, value, message):
    refuses(changed(*path, value=value), message)


def test_an_integer_is_taken_where_a_real_number_is_meant():
    config = KimiVLConfig.from_dict(changed("text_config", "rope_theta", value=800000))
    assert type(config.text_config.rope_theta) is float
    assert config == KimiVLConfig.from_dict(TINY)


@pytest.mark.parametrize("key", ["rope_theta", "rms_norm_eps", "routed_scaling_factor"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0], ids=str)
def test_a_real_number_must_be_finite_and_positive(key, value):
    refuses(changed("text_config", key, value=value), rf"text_config\.{key} is {value}; it must be a finite positive number")


@pytest.mark.parametrize(
    ("part", "key"),
    [("text_config", k) for k in ("hidden_size", "vocab_size", "n_routed_experts", "kv_lora_rank")] + [("vision_config", "hidden_size")],
)
@pytest.mark.parametrize("value", [10**9, 0, -1, 10**30], ids=str)
def test_a_size_outside_reason_is_refused_before_anything_is_allocated(part, key, value):
    refuses(changed(part, key, value=value), rf"{part}\.{key} is {value}; it must lie between 1 and 1,048,576")


@pytest.mark.parametrize("key", ["n_shared_experts", "first_k_dense_replace"])
def test_there_may_be_no_shared_experts_and_no_dense_layer(key):
    assert getattr(KimiVLConfig.from_dict(changed("text_config", key, value=0)).text_config, key) == 0


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("text_config", "num_experts_per_tok"), 9, "num_experts_per_tok 9 exceeds n_routed_experts 8"),
        (("text_config", "qk_rope_head_dim"), 15, "qk_rope_head_dim 15 must be even"),
        (("text_config", "num_key_value_heads"), 2, "num_key_value_heads differs from num_attention_heads"),
        (("vision_config", "num_attention_heads"), 5, "hidden_size 48 over 5 heads"),
        (("vision_config", "num_attention_heads"), 8, "hidden_size 48 over 8 heads must give a head width divisible by 4"),
        (("vision_config", "merge_kernel_size"), [1, 1], r"merge_kernel_size is \[1, 1\]; only \[2, 2\] is supported"),
        (("media_placeholder_token_id",), 512, "media_placeholder_token_id 512 lies outside the vocabulary of 512"),
        (("media_placeholder_token_id",), -1, "media_placeholder_token_id -1 lies outside"),
    ],
    ids=["experts", "odd rotary", "grouped heads", "indivisible", "narrow heads", "merge", "media id", "negative media id"],
)
def test_sizes_that_contradict_each_other_are_refused(path, value, message):
    refuses(changed(*path, value=value), message)


UNSUPPORTED = {
    "scoring_func": "softmax",
    "topk_method": "greedy",
    "n_group": 8,
    "topk_group": 4,
    "moe_layer_freq": 2,
    "q_lora_rank": 1536,
    "hidden_act": "gelu",
    "attention_bias": True,
    "rope_scaling": {"type": "yarn", "factor": 4.0},
    "tie_word_embeddings": True,
}


@pytest.mark.parametrize("key", UNSUPPORTED)
def test_a_variant_of_the_architecture_is_refused_with_the_supported_one_named(key):
    refuses(
        changed("text_config", key, value=UNSUPPORTED[key]), rf"text_config\.{key} is .*; only {REQUIRED_TEXT_VALUES[key]!r} is supported"
    )


def test_each_key_that_selects_a_variant_is_tried():
    assert UNSUPPORTED.keys() == REQUIRED_TEXT_VALUES.keys()


def test_tied_embeddings_and_other_model_types_are_refused_at_the_top():
    refuses(changed("tie_word_embeddings", value=True), "tie_word_embeddings is true; Kimi-VL checkpoints keep lm_head")
    refuses(changed("model_type", value="kimi_k25"), "model_type is 'kimi_k25'; this package runs 'kimi_vl' checkpoints")


@pytest.mark.parametrize("values", [[], "kimi_vl", None, 3], ids=str)
def test_a_config_that_is_no_object_is_refused(values):
    refuses(values, "a config must be a JSON object, not")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not readable JSON"),
        (b"{", "is not readable JSON"),
        (b"\xff\xfe\x00", "is not readable JSON"),
        (b"[" * 100_000, "is not readable JSON"),
        (b'{"vocab_size": ' + b"1" * 5000 + b"}", "is not readable JSON"),
        (b"[]", "a config must be a JSON object, not list"),
        (b'{"vision_config": {}, "text_config": {}}', "vision_config.patch_size is missing"),
    ],
    ids=["empty", "cut", "no UTF-8", "nested", "a number of 5,000 digits", "a list", "empty parts"],
)
def test_a_file_that_is_no_config_is_refused_with_its_path(tmp_path, content, message):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        KimiVLConfig.from_file(path)
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_and_a_folder_are_refused_with_their_path(tmp_path):
    with pytest.raises(ConfigError, match=r"config\.json does not exist; a checkpoint folder needs a config\.json"):
        KimiVLConfig.from_file(tmp_path / "nowhere" / "config.json")
    with pytest.raises(ConfigError, match="is not readable JSON"):
        KimiVLConfig.from_file(tmp_path)


def test_configs_are_frozen():
    config = KimiVLConfig.from_dict(TINY)
    with pytest.raises(AttributeError):
        config.text_config.hidden_size = 3


def test_an_integer_too_large_for_a_real_number_is_infinite():
    refuses(changed("text_config", "rope_theta", value=10**400), "rope_theta is inf; it must be a finite positive number")


def test_a_path_that_no_file_can_have_is_refused():
    with pytest.raises(ConfigError, match="is not readable JSON: embedded null byte"):
        KimiVLConfig.from_file("config\0.json")
