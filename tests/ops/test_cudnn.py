"""How prompts are shared out between cuDNN and the flash kernel, on any machine: plain attention stands in for the two kernels."""

import itertools

import pytest
import torch

from kimi_vl.ops import attention, cudnn
from tests import tolerances
from tests.ops import formulas
from tests.ops.test_implementations import assert_near, continued, packed


def plain_attend(q, k, v, *, causal, scale, with_mass=False):
    """As cuDNN does it: causal from the top left, in batches of one length."""
    scores = torch.einsum("nshq,nthq->nsht", q, k) * scale
    if causal:
        assert q.shape[1] == k.shape[1]
        scores = scores.masked_fill(torch.ones(q.shape[1], k.shape[1], dtype=torch.bool).triu(1)[None, :, None], float("-inf"))
    return torch.einsum("nsht,nthv->nshv", scores.softmax(-1), v), scores.logsumexp(-1, keepdim=True)


def plain_average(parts, log_masses, out):
    masses = torch.stack(log_masses).softmax(0)
    out.copy_((torch.stack(list(parts)) * masses[..., None]).sum(0)[: len(out)])


class Shapes(list):
    """(causal, sequences and queries, keys) of every call, and what cuDNN tells plans apart by."""

    def __init__(self):
        super().__init__()
        self.plans = set()


@pytest.fixture
def shapes(monkeypatch):
    """Plain attention for both kernels, small limits, and the shapes that cuDNN would have to plan for."""
    seen = Shapes()

    def attend(q, k, v, **options):
        seen.plans.add((options["causal"], *((x.shape, x.stride()) for x in (q, k, v))))
        seen.append((options["causal"], tuple(q.shape[:2]), k.shape[1]))
        return plain_attend(q, k, v, **options)

    monkeypatch.setattr(cudnn, "attend", attend)
    monkeypatch.setattr(cudnn, "varlen_attention_flash", attention.varlen_attention_sdpa)
    monkeypatch.setattr(cudnn, "expanded_latent_attention_flash", attention.expanded_latent_attention_sdpa)
    monkeypatch.setattr(cudnn, "expand_latents_triton", attention.expand_latents)
    monkeypatch.setattr(cudnn, "write_average", plain_average)
    monkeypatch.setattr(cudnn, "CUDNN_TOKENS", 10)
    monkeypatch.setattr(cudnn, "LEAST_TOKENS", 4)
    monkeypatch.setattr(cudnn, "LONG_TOKENS", 40)
    monkeypatch.setattr(cudnn, "SQUARE", 16)
    monkeypatch.setattr(cudnn, "GRAIN", 4)
    monkeypatch.setattr(cudnn, "PIECES", (64, 16, 4))
    monkeypatch.setattr(cudnn, "FLASH_ROWS", 60)
    monkeypatch.setattr(cudnn, "padded_length", lambda length: -(-length // 8) * 8)
    return seen


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(
    "lengths",
    [[16], [11], [3, 2], [12, 12, 12], [3, 17, 17, 4, 9, 20, 1], [10, 0, 12], [0, 11, 0, 0, 12], [5, 5], [3, 3, 3, 3], [5] * 7, [0, 0]],
    ids=lambda lengths: str(lengths),
)
def test_long_sequences_go_to_cudnn_and_short_ones_to_flash(shapes, lengths, causal):
    (*args, longest), options = packed(lengths, width=24, value_width=16, causal=causal, contiguous=False)
    found = cudnn.varlen_attention_cudnn(*args, longest, **options, lengths=lengths)
    assert_near(found, formulas.varlen_attention(*args, longest, **options), tolerances.OPERATION_RELATIVE["float32"])
    runs = [(length, len(list(run))) for length, run in itertools.groupby(lengths) if length >= 4]
    batches = [(size, length) for length, count in runs for size in (4, 2, 1) if count & size and size * length >= 10]
    planned = [(size, cudnn.padded_length(length) if causal else length) for size, length in batches]
    assert shapes == [(causal, shape, shape[1]) for shape in planned]


@pytest.mark.parametrize("lengths", [[41], [48], [64, 5], [2, 12, 12, 50, 50, 3]], ids=lambda lengths: str(lengths))
def test_a_long_sequence_is_computed_in_squares(shapes, lengths):
    (*args, longest), options = packed(lengths, width=24, value_width=16, contiguous=False)
    found = cudnn.varlen_attention_cudnn(*args, longest, **options, lengths=lengths)
    assert_near(found, formulas.varlen_attention(*args, longest, **options), tolerances.OPERATION_RELATIVE["float32"])
    expected = []
    for length, count in ((length, len(list(run))) for length, run in itertools.groupby(lengths)):
        for rows in [range(start, min(start + 16, length)) for start in range(0, length, 16)] * count if length > 40 else []:
            queries = cudnn.padded_length(len(rows))
            expected += [(True, (1, queries), queries), *[(False, (1, queries), 16)] * (rows.start // 16)]
    assert [shape for shape in shapes if shape[1] != (2, 16)] == expected
    assert all(not causal or queries == keys for causal, (_, queries), keys in shapes)


def test_a_picture_is_never_cut(shapes):
    (*args, longest), options = packed([50], width=24, value_width=16, causal=False)
    found = cudnn.varlen_attention_cudnn(*args, longest, **options, lengths=[50])
    assert_near(found, formulas.varlen_attention(*args, longest, **options), tolerances.OPERATION_RELATIVE["float32"])
    assert shapes == [(False, (1, 50), 50)]


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


@pytest.mark.parametrize("num_new", [10, 12, 23])
@pytest.mark.parametrize("num_kept", [0, 1, 4, 7, 83, 201])
def test_a_continued_prompt_is_attended_in_pieces(shapes, num_new, num_kept):
    call, options = continued(num_new, num_kept + num_new, value=16)
    found = cudnn.expanded_latent_attention_cudnn(*call, **options)
    assert_near(found, formulas.expanded_latent_attention(*call, **options), tolerances.OPERATION_RELATIVE["float32"])
    assert sum(keys for causal, _, keys in shapes if not causal) == num_kept // 4 * 4
    for causal, (_, queries), keys in shapes:
        assert queries % 4 == 0
        assert keys == queries if causal else keys in (64, 16, 4)


@pytest.mark.parametrize("loud", [slice(0, 16), slice(16, 32), slice(48, 60)], ids=str)
def test_pieces_of_very_different_masses_are_joined(shapes, loud):
    (q, rows, kv_up), options = continued(12, 60, value=16)
    rows[loud] *= 8  # e^4 to e^20 times the mass of all others
    found = cudnn.expanded_latent_attention_cudnn(q, rows, kv_up, **options)
    assert_near(found, formulas.expanded_latent_attention(q, rows, kv_up, **options), tolerances.OPERATION_RELATIVE["float32"])


@pytest.mark.parametrize("num_rows", [50, 61])
def test_a_short_chunk_goes_to_flash_if_its_keys_are_not_too_many_to_hold(shapes, num_rows):
    call, options = continued(9, num_rows, value=16)
    found = cudnn.expanded_latent_attention_cudnn(*call, **options)
    assert_near(found, formulas.expanded_latent_attention(*call, **options), tolerances.OPERATION_RELATIVE["float32"])
    assert bool(shapes) == (num_rows > 60)


def test_plans_of_one_prompt_serve_another(shapes):
    """Whatever is kept: 12 new tokens are squares of 12 or 16 tokens, and three kinds of pieces. Alone: lengths in steps of 8."""
    for num_kept in range(1, 180):
        call, options = continued(12, num_kept + 12, value=16)
        cudnn.expanded_latent_attention_cudnn(*call, **options)
    assert len(shapes.plans) == 2 + 3
    shapes.plans.clear()
    for length in range(17, 33):
        (*args, longest), options = packed([length, 3], width=24, value_width=16)
        cudnn.varlen_attention_cudnn(*args, longest, **options, lengths=[length, 3])
    assert len(shapes.plans) == 2
    shapes.plans.clear()
    for length in range(41, 97):
        (*args, longest), options = packed([length], width=24, value_width=16)
        cudnn.varlen_attention_cudnn(*args, longest, **options, lengths=[length])
    assert len(shapes.plans) == 2 + 2, "squares of 16 or 8 queries, causal and full"


def test_padding_is_little_and_leaves_few_shapes():
    lengths = range(cudnn.CUDNN_TOKENS, cudnn.LONG_TOKENS + 1)
    padded = [cudnn.padded_length(length) for length in lengths]
    assert all(0 <= more - length < max(256, length / 8 + 1) for length, more in zip(lengths, padded, strict=True))
    assert len(set(padded)) < 90
    assert cudnn.padded_length(cudnn.SQUARE) == cudnn.SQUARE
