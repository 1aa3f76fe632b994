"""Matrices that lie one behind another in memory: what multiplies each of them multiplies them as one."""

from __future__ import annotations

import torch


def adjacent(*matrices: torch.Tensor) -> torch.Tensor | None:
    """Matrices of equal width, or vectors, as one, rows behind rows, if they lie so in one allocation; None if not. A view, without
    gradients."""
    first = matrices[0]
    row_bytes = first[0].nbytes
    end = first.data_ptr()
    for matrix in matrices:
        # By chance two allocations may meet.
        is_next = matrix.data_ptr() == end and matrix.untyped_storage().data_ptr() == first.untyped_storage().data_ptr()
        if not is_next or not matrix.is_contiguous():
            return None
        end += matrix.shape[0] * row_bytes
    return first.detach().as_strided((sum(matrix.shape[0] for matrix in matrices), *first.shape[1:]), first.stride())
