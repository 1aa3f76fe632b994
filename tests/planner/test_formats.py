"""Parameters and bytes by part, against the layout, the loader's estimate, and files that other programs wrote."""

import pytest
import torch

from kimi_vl.bench.engine import official_config
from kimi_vl.checkpoint.layout import TensorSpec
from kimi_vl.checkpoint.memory import estimate_bytes
from kimi_vl.config import KimiVLConfig
from kimi_vl.errors import InputError
from kimi_vl.planner import Precision
from kimi_vl.planner.formats import FORMATS, tensor_bytes, weight_bytes
from kimi_vl.planner.parts import SEEING, activated, parameters
from tests.configs import TINY

OFFICIAL = official_config()


def test_the_official_parameters_are_counted_by_part():
    counts = parameters(OFFICIAL)
    assert sum(counts.values()) == 16_407_656_048
    assert counts["experts"] == 26 * 64 * 3 * 2048 * 1408
    assert counts["vision"] == 416_866_032
    assert counts["projector"] == 2 * 1152 + 4608 * 4608 + 4608 + 4608 * 2048 + 2048
    assert counts["attention"] + counts["latent_map"] == 27 * (2048 * 16 * 192 + 2048 * 576 + 512 * 16 * 256 + 16 * 128 * 2048)


def test_a_token_uses_six_experts_of_64():
    counts = activated(OFFICIAL)
    assert counts["experts"] == 26 * 6 * 3 * 2048 * 1408
    text = sum(count for part, count in counts.items() if part not in SEEING)
    assert round(text / 1e9, 2) == 2.91
    assert round((text - counts["embedding"]) / 1e9, 2) == 2.58  # what a step reads
    assert round(sum(counts[part] for part in SEEING) / 1e9, 2) == 0.45


@pytest.mark.parametrize("config", [OFFICIAL, KimiVLConfig.from_dict(TINY)], ids=["official", "tiny"])
@pytest.mark.parametrize(("name", "dtype", "kind"), [("bf16", torch.bfloat16, None), ("fp32", torch.float32, None)])
def test_whole_numbers_are_what_the_loader_estimates(config, name, dtype, kind):
    assert sum(weight_bytes(config, Precision(name)).values()) == estimate_bytes(config, dtype, quantised=kind)


@pytest.mark.parametrize("config", [OFFICIAL, KimiVLConfig.from_dict(TINY)], ids=["official", "tiny"])
@pytest.mark.parametrize("kind", ["int8", "fp8", "int4"])
def test_quantised_weights_are_what_the_loader_estimates(config, kind):
    assert sum(weight_bytes(config, Precision(kind)).values()) == estimate_bytes(config, torch.bfloat16, quantised=kind)


def test_q4_k_m_is_as_large_as_the_file_that_llama_cpp_wrote():
    """10.5 GB, 5.28 bits a weight: half of the down matrices have rows that 256 does not divide, and are kept in five or eight bits."""
    sizes, counts = weight_bytes(OFFICIAL, Precision("Q4_K_M")), parameters(OFFICIAL)
    text = [part for part in sizes if part not in SEEING]
    assert sum(sizes[part] for part in text) / 1e9 == pytest.approx(10.5, abs=0.05)
    assert 8 * sum(sizes[part] for part in text) / sum(counts[part] for part in text) == pytest.approx(5.28, abs=0.005)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("Q8_0", 8.5), ("Q6_K", 6.5625), ("Q5_K", 5.5), ("Q4_K", 4.5), ("Q4_0", 4.5), ("Q3_K", 3.4375), ("Q2_K", 2.625), ("int4-g32", 4.5)],
)
def test_formats_have_their_true_bits(name, bits):
    assert FORMATS[name].bits == bits
    assert tensor_bytes(TensorSpec((10, 2048), "x"), name) == 10 * 2048 * bits / 8


def test_rows_that_blocks_do_not_divide_are_kept_otherwise():
    odd = TensorSpec((10, 1408), "x")
    assert tensor_bytes(odd, "Q4_K") == 10 * 1408 * 5.5 / 8
    assert tensor_bytes(odd, "Q6_K") == 10 * 1408 * 8.5 / 8
    assert tensor_bytes(TensorSpec((10, 200), "x"), "int4") == 10 * 2 * 66  # the last group has fewer


def test_a_part_may_have_another_precision():
    base, other = weight_bytes(OFFICIAL, Precision("int8")), weight_bytes(OFFICIAL, Precision("int8", (("vision", "int4-g32"),)))
    assert other["vision"] < 0.3 * base["vision"]
    assert {part for part in base if base[part] != other[part]} == {"vision"}


@pytest.mark.parametrize(
    ("name", "parts", "said"),
    [
        ("Q4KM", (), "did you mean 'Q4_K_M'"),
        ("five", (), "known are fp32, bf16"),
        ("int8", (("vison", "bf16"),), "did you mean 'vision'"),
        ("int8", (("vision", "Q4_K_M"),), "the precision of vision is 'Q4_K_M'"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name, parts, said):
    with pytest.raises(InputError, match=said):
        Precision(name, parts)
