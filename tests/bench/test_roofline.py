"""The limits against the numbers that were worked out by hand for the official sizes."""

import pytest

from kimi_vl.bench.engine import official_config
from kimi_vl.bench.roofline import decode_bytes, expected_experts, prefill_flops, values_read, vision_flops
from kimi_vl.config import KimiVLConfig
from tests.configs import OFFICIAL

CONFIG = official_config()


def test_the_configuration_is_the_official_one():
    assert KimiVLConfig.from_dict(OFFICIAL) == CONFIG


def test_a_step_of_one_request_reads_the_activated_parameters():
    """2.58 billion values, 5.16 GB in bf16, without the embedding table."""
    assert values_read(CONFIG.text_config, 1) == pytest.approx(2.58e9, rel=0.005)
    assert decode_bytes(CONFIG, 1, 0) == pytest.approx(5.16e9, rel=0.005)


@pytest.mark.parametrize(("batch", "experts"), [(1, 6), (8, 35), (32, 61), (128, 64)])
def test_more_requests_meet_more_experts(batch, experts):
    assert expected_experts(CONFIG.text_config, batch) == pytest.approx(experts, abs=0.6)


def test_a_token_in_the_cache_costs_31_104_bytes():
    assert decode_bytes(CONFIG, 1, 1) - decode_bytes(CONFIG, 1, 0) == 31_104


@pytest.mark.parametrize(("context", "milliseconds"), [(1024, 1.75), (16_384, 1.95), (65_536, 2.4), (120_000, 3.0)])
def test_decode_limits_are_those_of_the_table(context, milliseconds):
    assert decode_bytes(CONFIG, 1, context) / 2.95e12 * 1e3 == pytest.approx(milliseconds, rel=0.03)


@pytest.mark.parametrize(("context", "milliseconds"), [(16_384, 150), (65_536, 1300), (120_000, 3600)])
def test_prompts_take_about_what_the_table_says(context, milliseconds):
    """The table's own limits are rounded estimates at 600 to 700 TFLOP/s."""
    assert prefill_flops(CONFIG, context) / 650e12 * 1e3 == pytest.approx(milliseconds, rel=0.3)


def test_a_large_image_takes_tens_of_milliseconds():
    assert vision_flops(CONFIG, 16_384) / 600e12 * 1e3 == pytest.approx(80, rel=0.35)
