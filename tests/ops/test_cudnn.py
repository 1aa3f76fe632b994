"""How prompts are shared out between cuDNN and the flash kernel, on any machine: plain attention stands in for the two kernels."""

import itertools

import pytest
import torch

from kimi_vl.ops import attention, cudnn
from tests import tolerances
from tests.ops import formulas
from tests.ops.test_implementations import assert_near, packed


def plain_attend(q, k, v, *, causal, scale, with_mass=False):
    """As cuDNN does it: causal from the top left, in batches of one length."""
    scores = torch.einsum("nshq,nthq->nsht", q, k) * scale
    if causal:
        assert q.shape[1] == k.shape[1]
        scores = scores.masked_fill(torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).triu(1)[None, :, None], float("-inf"))
    return torch.einsum("nsht,nthv->nshv", scores.softmax(-1), v), scores.logsumexp(-1, keepdim=True)


@pytest.fixture
def shapes(monkeypatch):
    """Plain attention for both kernels, small limits, and the shapes that cuDNN would have to plan for."""
    seen = []

    def attend(q, k, v, **options):
        seen.append((options["causal"], tuple(q.shape[:2]), k.shape[1]))
        return plain_attend(q, k, v, **options)

    monkeypatch.setattr(cudnn, "attend", attend)
    monkeypatch.setattr(cudnn, "varlen_attention_flash", attention.varlen_attention_sdpa)
    monkeypatch.setattr(cudnn, "CUDNN_TOKENS", 10)
    monkeypatch.setattr(cudnn, "padded_length", lambda length: -(-length // 8) * 8)
    return seen


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "lengths",
    [[16], [11], [3, 2], [12, 12, 12], [3, 17, 17, 4, 9, 20, 1], [10, 0, 12], [0, 11, 0, 0, 12]],
    ids=lambda lengths: str(lengths),
)
def test_long_sequences_go_to_cudnn_and_short_ones_to_flash(shapes, lengths, causal):
    (*args, longest), options = packed(lengths, width=24, value_width=16, causal=causal, contiguous=False)
    found = cudnn.varlen_attention_cudnn(*args, longest, **options, lengths=lengths)
    assert_near(found, formulas.varlen_attention(*args, longest, **options), tolerances.OPERATION_RELATIVE["float32"])
    runs = [(length, len(list(run))) for length, run in itertools.groupby(lengths) if length >= 10]
    planned = [(count, cudnn.padded_length(length) if causal else length) for length, count in runs]
    assert shapes == [(causal, shape, shape[1]) for shape in planned]


@pytest.mark.parametrize("why", ["lengths unknown", "gradient", "widths"])
def test_what_cudnn_cannot_do_goes_to_flash(shapes, why):
    (q, k, v, *args), options = packed([14, 20], width=20 if why == "widths" else 24, value_width=16)
    q.requires_grad_(why == "gradient")
    found = cudnn.varlen_attention_cudnn(q, k, v, *args, **options, lengths=None if why == "lengths unknown" else [14, 20])
    assert_near(found.detach(), formulas.varlen_attention(q, k, v, *args, **options).detach(), tolerances.OPERATION_RELATIVE["float32"])
    assert not shapes
    assert found.requires_grad == (why == "gradient")


def test_a_token_of_nan_stays_inside_its_own_sequence(shapes):
    (q, k, v, *args), options = packed([12, 12, 5, 13], width=24, value_width=16)
    for operand in (q, k, v):
        operand[14] = float("nan")
    out = cudnn.varlen_attention_cudnn(q, k, v, *args, **options, lengths=[12, 12, 5, 13])
    assert out[12:24].isnan().any()
    assert out[:12].isfinite().all()
    assert out[24:].isfinite().all()


def test_padding_is_little_and_leaves_few_shapes():
    lengths = range(cudnn.CUDNN_TOKENS, cudnn.LONG_TOKENS + 1)
    padded = [cudnn.padded_length(length) for length in lengths]
    assert all(0 <= more - length < max(256, length / 8 + 1) for length, more in zip(lengths, padded, strict=True))
    assert len(set(padded)) < 90
    assert cudnn.padded_length(120_000) == 120_000
