"""Decoding rows in few kernels gives the logits of the modules, and leaves the same rows in the cache."""

import copy

import pytest
import torch

from kimi_vl.bench.engine import random_model
from kimi_vl.config import KimiVLConfig
from kimi_vl.model.cache import PagedLatentCache, PagedStep
from kimi_vl.model.quantise import quantise
from kimi_vl.model.row_decoder import RowDecoder
from kimi_vl.model.tokens import TokenLayout
from tests import interpreter, tolerances
from tests.configs import TINY
from tests.ops.test_implementations import FP8, assert_near

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
pytestmark = [
    pytest.mark.gpu if GPU else pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal())),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
# Widths that kernels take: powers of two of at least 16 where a tensor core multiplies.
WIDTHS = {"hidden_size": 80, "kv_lora_rank": 64, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "v_head_dim": 16}
PAGE = 4
REFERENCES = dict.fromkeys(("rms_norm", "add_rms_norm", "latent_rows", "paged_latent_attention", "route", "gated_mlp"), "reference")


def model_with(dtype, **text):
    config = copy.deepcopy(TINY)
    config["text_config"] |= WIDTHS | {"num_hidden_layers": 3, "n_shared_experts": 2} | text
    torch.manual_seed(4)
    model = random_model(KimiVLConfig.from_dict(config), DEVICE, dtype)
    model.choose_implementations(REFERENCES | {"routed_experts": "loop"})
    for parameter in model.language_model.parameters():  # the bench's weights would leave hardly anything for attention to do
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
        elif parameter.dtype == torch.float32 and parameter.numel() == model.config.text_config.n_routed_experts:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def cache_of(model, lengths, kind=None):
    """A cache in which every row has its kept tokens, and a step that adds one to each; the last row is of padding."""
    columns = -(-(max(lengths) + 1) // PAGE)
    count = len(lengths) * columns + 1
    cache = PagedLatentCache(model.config.text_config, count, PAGE, dtype=model.dtype, device=DEVICE, kind=kind)
    table = torch.randperm(len(lengths) * columns).view(len(lengths), columns)
    slots = [int(table[b, n // PAGE]) * PAGE + n % PAGE for b, n in enumerate(lengths)]
    slots[-1] = len(lengths) * columns * PAGE  # of the spare page
    for pages_GOZ in cache.layers_GOZ:
        pages_GOZ.copy_(torch.randn(pages_GOZ.shape, device=DEVICE))
    on = {"device": DEVICE, "dtype": torch.int32}
    step = PagedStep(
        torch.tensor(slots, device=DEVICE),
        0,
        table.to(**on),
        torch.arange(len(lengths) + 1, **on),
        torch.tensor([n + 1 for n in lengths], **on),
    )
    cache.begin(step)
    return cache


def step_of(model, lengths, kind=None):
    """Newest tokens, their positions, and a cache that has those before them."""
    torch.manual_seed(len(lengths))
    ids = torch.randint(10, 400, (len(lengths),), device=DEVICE)
    return ids, torch.tensor(lengths, device=DEVICE), cache_of(model, lengths, kind)


def like(cache, model):
    """The same cache for a model of another dtype; what is kept in fp8 stays so."""
    other = copy.copy(cache)
    other.layers_GOZ = [pages.to(pages.dtype if pages.dtype == FP8 else model.dtype, copy=True) for pages in cache.layers_GOZ]
    other.begin(cache.step)
    return other


@torch.inference_mode()
def of_modules(model, ids, positions, cache):
    decoder = model.language_model.model
    layout = TokenLayout(positions, torch.zeros(1, dtype=torch.int32, device=DEVICE), 0)
    hidden, _ = decoder(decoder.embed_tokens(ids), layout, model.ops, cache)
    return model.language_model.lm_head(hidden)


@torch.inference_mode()
def of_rows(model, ids, positions, cache):
    decoder = model.language_model.model
    return RowDecoder(model.language_model)(decoder.embed_tokens(ids), *decoder.rotations(positions, model.dtype), cache)


def both(model, lengths, kind=None):
    """(logits of the modules, of the row decoder), (pages after either)."""
    *tokens, cache = step_of(model, lengths, kind)
    caches = cache, like(cache, model)
    return (of_modules(model, *tokens, caches[0]), of_rows(model, *tokens, caches[1])), [torch.stack(c.layers_GOZ) for c in caches]


@pytest.mark.parametrize("lengths", [[0], [9], [13, 6], [7, 0, 21], [*range(40, 0, -1)], [k % 11 for k in range(67)]], ids=len)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16] if GPU else [torch.float32, torch.float16], ids=str)
def test_rows_give_the_logits_of_the_modules(lengths, dtype):
    model = model_with(dtype)
    (expected, found), (kept, also_kept) = both(model, lengths)
    assert found.dtype == dtype
    tolerance = 1e-5 if dtype == torch.float32 else 4 * tolerances.OPERATION_RELATIVE["bfloat16"]  # through three layers
    # Rounding may turn a near-tie between experts, and the row is then another. Met in half precision in 1 of 40.
    far = ((found - expected).abs().amax(-1) > tolerance * expected.abs().max()).sum()
    assert far <= (0 if dtype == torch.float32 else len(lengths) // 20)
    if not far:
        assert_near(also_kept, kept, tolerance)


@pytest.mark.parametrize("kind", ["int8", "int4"])
@pytest.mark.parametrize("lengths", [[9], [13, 6], [7, 0, 21], [*range(40, 0, -1)]], ids=len)
def test_quantised_rows_give_the_logits_of_quantised_modules(lengths, kind):
    model = model_with(torch.bfloat16 if GPU else torch.float32)
    before = [parameter.clone() for parameter in model.language_model.parameters()]
    quantise(model.language_model, kind)
    assert len(list(model.language_model.parameters())) < len(before)
    (expected, found), _ = both(model, lengths)
    tolerance = 4 * tolerances.OPERATION_RELATIVE["bfloat16"] if GPU else 1e-5
    far = ((found - expected).abs().amax(-1) > tolerance * expected.abs().max()).sum()
    assert far <= (len(lengths) // 20 if GPU else 0)


@pytest.mark.parametrize("lengths", [[9], [7, 0, 21], [*range(40, 0, -1)], [k % 11 for k in range(67)]], ids=len)
def test_rows_and_modules_in_fp8_are_near_the_same_weights_in_fp32(lengths):
    """Some round tokens and others do not, so they differ from one another; what is rounded where has tests of its own. A token whose
    experts turn is far from what it was, hence the middle one of many."""
    model = model_with(torch.bfloat16 if GPU else torch.float32)
    quantise(model.language_model, "fp8")
    *tokens, cache = step_of(model, lengths)
    exact = copy.deepcopy(model).float()
    expected = of_modules(exact, *tokens, like(cache, exact))
    for found in (of_modules(model, *tokens, like(cache, model)), of_rows(model, *tokens, like(cache, model))):
        error = (found.float() - expected).norm(dim=-1) / expected.norm(dim=-1)
        assert error.median() < tolerances.FP8_LOGITS_RELATIVE


def test_a_model_without_shared_experts_and_with_two_dense_layers():
    model = model_with(torch.float32 if not GPU else torch.float16, n_shared_experts=0, first_k_dense_replace=2)
    for lengths in ([5], [3, 2, 8]):
        (expected, found), _ = both(model, lengths)
        assert_near(found, expected, 1e-5 if not GPU else 4 * tolerances.OPERATION_RELATIVE["bfloat16"])
