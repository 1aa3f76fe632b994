"""Our network against the official code's numbers, and its modules against fp64 formulas."""

import pytest

from tests.parity.checks import CASE, CHECKS, GOLDEN


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_our_network_passes_the_check(check, tiny_model):
    check(tiny_model)


def test_the_toy_weights_and_prompt_are_those_of_the_golden_numbers():
    assert CASE.input_ids.tolist() == GOLDEN["ids"]
    assert [list(grid) for grid in CASE.grids] == GOLDEN["grids"]
    for name, checksum in GOLDEN["weights_checksum"].items():
        assert CASE.weights[name].double().abs().sum().item() == pytest.approx(checksum, rel=1e-12)


def test_the_sums_over_all_golden_logits_agree(tiny_model):
    logits = CASE.logits(tiny_model).double()
    # 17,920 logits whose errors are noise of 5e-6 and either sign: the sums are off by about 134 times that.
    assert logits.sum().item() == pytest.approx(GOLDEN["logits_sum"], abs=2e-3)
    assert logits.abs().sum().item() == pytest.approx(GOLDEN["logits_abs_sum"], abs=2e-3)
