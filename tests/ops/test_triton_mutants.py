"""Mistakes planted in the Triton kernels: at the table's tolerance each must be caught by some case of the kernel's operation."""

import importlib
import importlib.util
import sys
from dataclasses import dataclass

import pytest
import torch

from kimi_vl.ops.registry import IMPLEMENTATIONS
from tests import interpreter
from tests.ops.test_implementations import CASES, check


@dataclass(frozen=True)
class Mutant:
    """`right` in the source of an operation's kernels becomes `wrong`."""

    mistake: str
    operation: str
    right: str
    wrong: str
    module: str = ""  # if it is not named after the operation
    way: str = ""  # the function of the operation's module that computes it so, for a prompt, if the operation would not choose it here


# Each stays inside its tensors: the interpreter reads and writes where it is told.
MUTANTS = (
    Mutant("a token's own row unseen", "batched_latent_attention", "tl.where(s[None] < length,", "tl.where(s[None] < length - 1,"),
    Mutant("a token sees the next row", "paged_latent_attention", "length - stop + t + 1, 0)", "length - stop + t + 2, 0)"),
    Mutant("a token's own row unseen", "paged_latent_attention", "length - stop + t + 1, 0)", "length - stop + t, 0)"),
    Mutant("the last part forgotten", "paged_latent_attention", "tl.where(w < num_parts, peak_W", "tl.where(w < num_parts - 1, peak_W"),
    Mutant("parts weighed alike", "paged_latent_attention", "weight_W = tl.exp2(peak_W - tl.where(", "weight_W = tl.exp2(0.0 * tl.where("),
    Mutant("rows of another page", "paged_latent_attention", "table + s // PAGE", "table + (s * 0 + start) // PAGE"),
    Mutant(
        "bytes of a word in another order",
        "paged_latent_attention",
        "tl.join(words_SV, words_SV >> 16)",
        "tl.join(words_SV >> 16, words_SV)",
    ),
    Mutant("a tile ends with its first token's rows", "paged_latent_attention", "tl.minimum(first + TILE, stop)", "first + 1"),
    Mutant(
        "an expert's last pair reads nothing",
        "routed_experts",
        "i < tl.load(counts + expert)",
        "i < tl.load(counts + expert) - 1",
        "expert_tiles",
    ),
    Mutant("up gates", "routed_experts", "gate_FX * tl.sigmoid(gate_FX) * up_FX", "up_FX * tl.sigmoid(up_FX) * gate_FX", "expert_tiles"),
    Mutant("pairs of another token", "routed_experts", "token_X * x_stride)[None]", "k_X * x_stride)[None]", "expert_tiles"),
    Mutant(
        "all experts weigh alike",
        "routed_experts",
        "tl.load(weights + t * TOP_K + k) * y_D",
        "tl.load(weights + t * TOP_K) * y_D",
        "expert_sums",
    ),
    Mutant(
        "one token's experts weigh alike",
        "routed_experts",
        "weight_D *= tl.load(weights + t * TOP_K + k)",
        "weight_D *= tl.load(weights + t * TOP_K)",
        "expert_vectors",
    ),
    Mutant("experts end a row early", "routed_experts", "ends + e, end_E,", "ends + e, tl.maximum(end_E - 1, 0),", "grouping", "by_groups"),
    Mutant(
        "rows of another token", "routed_experts", "tokens + place_X, x // TOP_K", "tokens + place_X, x % TOP_K", "grouping", "by_groups"
    ),
    Mutant(
        "up gates",
        "routed_experts",
        "gate_XF * tl.sigmoid(gate_XF) * up_XF",
        "up_XF * tl.sigmoid(up_XF) * gate_XF",
        "swiglu_products",
        "by_groups",
    ),
    Mutant("rows of the expert before", "routed_experts", "start_E + (tile", "start_E * 0 + (tile", "swiglu_products", "by_groups"),
    Mutant("one rotated key for all rows", "expand_latents", "k_rope + s * rope_stride", "k_rope + 0 * rope_stride"),
    Mutant("values taken for keys", "expand_latents", "(h * W)[:, None] + n[None]", "(h * W)[:, None] + W - N + n[None]"),
    Mutant("up gates", "gated_mlp", "gate_F * tl.sigmoid(gate_F) * up_F", "up_F * tl.sigmoid(up_F) * gate_F"),
    Mutant("rows of one half", "gated_mlp", "tl.load(up + row * stride + f", "tl.load(up + row * F + f"),
    Mutant(
        "shared experts forgotten",
        "mixture",
        "tl.load(beside + t * D + d, mask=d < D",
        "tl.load(beside + t * D + d, mask=d < 0",
        "expert_sums",
    ),
    Mutant(
        "the residual added only beside shared experts",
        "mixture",
        "(beside + t * D + d, mask=d < D, other=0.0).to(tl.float32)\n    if",
        "(beside + t * D + d, mask=d < D, other=0.0).to(tl.float32)\n    if HAS_BESIDE and",
        "expert_sums",
    ),
    Mutant("the last value left out", "rms_norm", "tl.load(x + t * D + d, mask=d < D", "tl.load(x + t * D + d, mask=d < D - 1"),
    Mutant(
        "the epsilon outside of the root",
        "rms_norm",
        "tl.rsqrt(tl.sum(value_D * value_D, 0) / D + eps)",
        "(tl.rsqrt(tl.sum(value_D * value_D, 0) / D) + eps)",
    ),
    Mutant(
        "the update forgotten",
        "add_rms_norm",
        "tl.load(update + t * D + d, mask=d < D",
        "tl.load(update + t * D + d, mask=d < 0",
        "rms_norm",
    ),
    Mutant("turned the other way", "rotate_qk", "even * sine + odd * cosine", "odd * cosine - even * sine"),
    Mutant("angles of another pair", "rotate_qk", "+ pair % A,", "+ (pair * 0 + 1) % A,"),
    Mutant("angles of the tile's first patch", "rotate_qk", "first * A + pair // (HQ // 2) * A", "first * A"),
    Mutant("queries for keys", "rotate_qk", "tl.program_id(2) * stride_qkv", "tl.program_id(2) * 0"),
    Mutant("turned the other way", "latent_rows", "(even_HP * sin_P).to(dtype)", "(-even_HP * sin_P).to(dtype)"),
    Mutant("padding written", "write_latent", "slot = tl.load(slots + t)", "slot = tl.maximum(tl.load(slots + t), 0)", "latent_rows"),
    Mutant("the bias weighs", "route", "tl.where(is_chosen_E, score_E, 0.0)", "tl.where(is_chosen_E, score_E + bias_E, 0.0)"),
    Mutant("selection without bias", "route", "score_E + bias_E", "score_E + 0.0"),
    Mutant("the bias weighs in a tile", "route", "tl.where(is_chosen_ET, score_ET, 0.0)", "tl.where(is_chosen_ET, left_ET, 0.0)"),
    Mutant("a tile without bias", "route", "= score_ET + tl.load(bias + e, mask=e < E, other=0.0)[:, None]", "= score_ET"),
    Mutant("weights of 11 bits", "route", "tl.dot(middle_ED, x_DT, sum_ET, input", "tl.dot(middle_ED * 0.0, x_DT, sum_ET, input"),
    Mutant("a part forgotten", "route", "for p in range(tl.num_programs(1)):", "for p in range(tl.num_programs(1) - 1):"),
    Mutant("what only the prompt holds is not repeated", "weigh_rows", "tl.where(met > 0,", "tl.where(met > 1,"),
    Mutant("what only the prompt holds has been said", "weigh_rows", "tl.where(said > 0,", "tl.where(met > 0,"),
    Mutant("a negative logit divided", "weigh_rows", "x * repetition)", "x / repetition)"),
    Mutant("a bias of what is not weighed", "weigh_rows", "frequency) + bias_K", "frequency) * 0.0 + x_K + bias_K"),
    Mutant("biases of the first block alone", "weigh_rows", "(token_K < (block + 1) * N)", "(token_K < N)"),
    Mutant("rows without penalties look back", "weigh_rows", "(repetition != 1.0) | (presence != 0.0) |", "(repetition != 1.0) |"),
    Mutant("the excluded token drawn", "draw_rows", "if block == excluded // N:", "if block < 0:"),
    Mutant(
        "an excluded NaN unseen", "draw_rows", "row_stride + excluded).to(tl.float32) <", "row_stride + excluded).to(tl.float32) * 0.0 !="
    ),
    Mutant("blocks weighed by their own peaks", "draw_rows", "* _weights(peak_X, peak, scale)\n    if HAS", "\n    if HAS"),
    Mutant("the number starts again in a block", "draw_rows", "target - before, N", "target, N"),
    Mutant("numbers below zero the wrong way round", "draw_rows", "((bits >> 31) & 0x7FFFFFFF) ^ -0x80000000).to", "0 ^ -0x80000000).to"),
    Mutant("a digit too high", "draw_rows", ".to(tl.int32), 0) - 1, 0)", ".to(tl.int32), 0), 0)"),
    Mutant("top-p of what lies above top-k's cut", "draw_rows", "+ mass_at_cut)", "+ 0.0 * mass_at_cut)"),
    Mutant("every block keeps equals", "draw_rows", "num_kept - (tl.cumsum(ties_X, 0) - ties_X)", "num_kept - 0 * ties_X"),
    Mutant("min-p without temperature", "draw_rows", "peak + tl.load(temperature + row) * tl.log(least)", "peak + tl.log(least)"),
)


def mutated(mutant, folder, monkeypatch):
    """The operation's kernel from a copy of its module that holds the mistake."""
    module = importlib.import_module(f"kimi_vl.ops.triton.{mutant.module or mutant.operation}")
    with open(module.__file__, encoding="utf-8") as file:
        source = file.read()
    assert source.count(mutant.right) == 1, "the mutant names a passage that is not there, or not once"
    copy = folder / "mutant.py"  # a file, because Triton reads the source of what it runs
    copy.write_text(source.replace(mutant.right, mutant.wrong).replace('"kimi_vl::', f'"{folder.name}::'), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mutant", copy)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutant", loaded)  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    wanted = mutant.way or f"{mutant.operation}_triton"
    if not mutant.way and hasattr(loaded, wanted):
        return getattr(loaded, wanted)
    for user in [user for name, user in sys.modules.items() if name.startswith("kimi_vl.ops.triton.")]:
        for name in vars(user).keys() & vars(loaded).keys():
            if getattr(vars(user)[name], "__module__", "") == module.__name__:  # what it takes from the module with the mistake
                monkeypatch.setattr(user, name, getattr(loaded, name))
    [home] = {i.function.__module__ for i in IMPLEMENTATIONS if (i.operation, i.name) == (mutant.operation, "triton")}
    return getattr(sys.modules[home], wanted)


@pytest.mark.skipif(interpreter.refusal() is not None, reason=str(interpreter.refusal()))
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.operation}: {mutant.mistake}")
def test_a_mistake_in_a_kernel_is_caught(mutant, tmp_path, monkeypatch):
    function = mutated(mutant, tmp_path, monkeypatch)
    caught = []
    for name, case in CASES[mutant.operation].items():
        if name == "the official widths" or (mutant.way and name != "a prompt"):
            continue  # seconds, and no mistake that the small ones would not show
        try:
            check(function, mutant.operation, case, torch.device("cpu"), "float16")
        except AssertionError:
            caught.append(name)
            break
    assert caught
