"""Matrices that multiply the same thing can lie one behind another, and be seen as one."""

import torch

from kimi_vl.model.layers import joined
from kimi_vl.ops.matrices import adjacent


def test_joined_matrices_are_the_layers_own_and_are_moved_once():
    one, other = torch.nn.Linear(6, 3, bias=False), torch.nn.Linear(6, 5, bias=False)
    before = torch.cat([one.weight.detach(), other.weight.detach()])
    whole = joined(one, other)
    assert torch.equal(whole, before)
    other.weight.data[2] = 7.0
    assert whole[5].tolist() == [7.0] * 6
    assert joined(one, other).data_ptr() == whole.data_ptr()


def test_only_matrices_of_one_allocation_behind_one_another_are_adjacent():
    whole = torch.randn(12, 6)
    one, other, last = whole.split([3, 5, 4])
    for matrices in ((one, other), (other, last), (one, other, last)):
        found = adjacent(*matrices)
        assert torch.equal(found, torch.cat(matrices))
        assert found.data_ptr() == matrices[0].data_ptr()
    assert adjacent(one, last) is None
    assert adjacent(other, one) is None
    assert adjacent(one, other.clone()) is None
    assert adjacent(whole[:3, :4], whole[3:, :4]) is None, "columns of a wider matrix"
