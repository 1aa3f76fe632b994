"""The helper that makes operators of launchers, with operators of its own, which any device computes."""

import subprocess
import sys

import pytest
import torch

from kimi_vl.ops.triton.operators import operator

PURE, MUTATING = "kimi_vl::test_sum_of(Tensor x, Tensor y) -> Tensor", "kimi_vl::test_count(Tensor x, Tensor(a!) counts) -> Tensor"


@pytest.fixture(scope="module")
def operators():
    pure, mutating = operator(PURE)(lambda x, y: x + y), operator(MUTATING)(counted)
    pure.register_fake(lambda x, y: torch.empty_like(x))
    mutating.register_fake(lambda x, counts: torch.empty_like(x))
    return pure, mutating


def counted(x, counts):
    counts += 1
    return x * counts


def test_an_operator_computes_what_its_function_does_and_goes_by_the_name_of_its_schema(operators):
    pure, mutating = operators
    x, counts = torch.arange(3.0), torch.ones(3)
    assert pure(x, counts).tolist() == torch.ops.kimi_vl.test_sum_of(x, counts).tolist() == [1, 2, 3]
    assert mutating(x, counts).tolist() == [0, 2, 4]
    assert counts.tolist() == [2, 2, 2]


def test_calling_an_operator_for_the_first_time_imports_no_compiler():
    """It takes two seconds, which a first token would wait for."""
    code = (
        "import sys, torch; from kimi_vl.ops.triton.operators import operator;"
        f"op = operator({PURE!r})(lambda x, y: x + y); op.register_fake(lambda x, y: x.clone());"
        "x = torch.ones(2); op(x, x); op(x.requires_grad_(), x);"
        "print('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_compiler_sees_one_call_and_what_it_writes_into(operators):
    pure, mutating = operators
    graphs = []

    def keep(graph, _):
        graphs.append(graph)
        return graph

    def both(x, counts):
        return pure(mutating(x, counts), x)

    x, counts = torch.arange(3.0), torch.ones(3)
    assert torch.compile(both, backend=keep, fullgraph=True)(x, counts).tolist() == [0, 3, 6]
    assert counts.tolist() == [2, 2, 2]
    called = [node.target for node in graphs[0].graph.nodes if node.op == "call_function"]
    assert called == [torch.ops.kimi_vl.test_count.default, torch.ops.kimi_vl.test_sum_of.default]
    writes = [argument.alias_info is not None and argument.alias_info.is_write for argument in called[0]._schema.arguments]
    assert writes == [False, True]


def test_an_operator_keeps_to_its_schema_wherever_torch_looks(operators):
    for op, inputs in zip(operators, ((torch.rand(3), torch.rand(3)), (torch.rand(3), torch.ones(3))), strict=True):
        torch.library.opcheck(op._overload, inputs)


def test_shapes_are_known_without_data(operators):
    for op in operators:
        assert op(torch.empty(5, device="meta"), torch.empty(5, device="meta")).shape == (5,)


def test_going_back_through_an_operator_is_an_error(operators):
    pure, _ = operators
    x = torch.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="kimi_vl::test_sum_of has no gradient"):
        pure(x, torch.ones(3)).sum().backward()
