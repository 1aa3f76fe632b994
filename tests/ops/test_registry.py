"""Which implementation runs: a named one is a promise, only the automatic choice may fall back."""

import pytest
import torch

from kimi_vl.errors import ImplementationUnavailable
from kimi_vl.ops import attention, experts, explain, registry, select
from kimi_vl.ops.registry import IMPLEMENTATIONS
from kimi_vl.ops.triton import routed_experts

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_the_automatic_choice_on_a_cpu_is_the_first_that_can_run():
    chosen = {verdict.operation: verdict.name for verdict in explain(CPU, torch.float32) if verdict.chosen}
    assert chosen["varlen_attention"] == "sdpa"
    for operation, name in chosen.items():
        able = [i.name for i in IMPLEMENTATIONS if i.operation == operation and i.refuses(CPU, torch.float32) is None]
        assert name == able[0]


def test_select_resolves_to_the_functions_that_explain_names():
    operations = select(CPU, torch.bfloat16)
    for verdict in explain(CPU, torch.bfloat16):
        if verdict.chosen:
            [function] = [i.function for i in IMPLEMENTATIONS if (i.operation, i.name) == (verdict.operation, verdict.name)]
            assert getattr(operations, verdict.operation) is function


def test_a_named_implementation_is_taken_and_the_others_stay_automatic():
    operations = select(CPU, torch.float32, {"routed_experts": "dense"})
    assert operations.routed_experts is experts.routed_experts_dense
    assert operations.varlen_attention is attention.varlen_attention_sdpa


def test_a_named_implementation_that_cannot_run_here_is_an_error_with_the_reason():
    with pytest.raises(
        ImplementationUnavailable, match=r"varlen_attention was to run as 'flash', which needs an NVIDIA GPU, the device is cpu"
    ):
        select(CPU, torch.bfloat16, {"varlen_attention": "flash"})


def test_flash_attention_refuses_fp32_weights_on_a_gpu_and_says_so():
    with pytest.raises(ImplementationUnavailable, match="needs bfloat16 or float16 weights, these are float32"):
        select(CUDA, torch.float32, {"varlen_attention": "flash"})


def test_a_named_part_is_taken_instead_of_what_would_compute_it_along(monkeypatch):
    monkeypatch.setattr(registry, "triton", object())
    assert select(CUDA, torch.float16).mixture is routed_experts.mixture_triton
    assert select(CUDA, torch.float16, {"routed_experts": "triton"}).mixture is routed_experts.mixture_triton
    assert select(CUDA, torch.float16, {"routed_experts": "dense"}).mixture is experts.mixture
    assert select(CUDA, torch.float16, {"routed_experts": "dense", "mixture": "triton"}).mixture is routed_experts.mixture_triton


@pytest.mark.parametrize("choice", [{"varlen_attention": "flsh"}, {"attention": "flash"}], ids=["name", "operation"])
def test_an_unknown_implementation_is_an_error_that_lists_the_known_ones(choice):
    with pytest.raises(ImplementationUnavailable, match=r"there are .*varlen_attention=flash.*varlen_attention=reference"):
        select(CPU, torch.float32, choice)


def test_explain_gives_every_implementation_a_reason():
    verdicts = list(explain(CPU, torch.float32))
    assert [(v.operation, v.name) for v in verdicts] == [(i.operation, i.name) for i in IMPLEMENTATIONS]
    reasons = {(v.operation, v.name): v.reason for v in verdicts}
    assert reasons["varlen_attention", "flash"] == "needs an NVIDIA GPU, the device is cpu"
    assert reasons["varlen_attention", "sdpa"] == "first that can run here"
    assert reasons["varlen_attention", "reference"] == "able, but a preferred one runs"
    assert len({(i.operation, i.name) for i in IMPLEMENTATIONS}) == len(IMPLEMENTATIONS)


def test_without_triton_its_kernels_are_refused_with_the_reason(monkeypatch):
    monkeypatch.setattr(registry, "triton", None)
    with pytest.raises(ImplementationUnavailable, match="paged_latent_attention was to run as 'triton', which needs the package triton"):
        select(CUDA, torch.bfloat16, {"paged_latent_attention": "triton"})
