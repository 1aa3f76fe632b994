"""Penalties and biases of rows on the device: what each row's answer has said, and what is taken from its logits for it.

Letters: B rows, Q some of them, W vocabulary, K biases of a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from kimi_vl.engine.request import Request
from kimi_vl.engine.sampling import MAX_BIASES
from kimi_vl.ops import Operations
from kimi_vl.ops.transfer import sent


class Penalties:
    """The tensors of all rows, which keep their addresses, so that a graph may hold them. `met_BW` is as in `ops.sampling.weigh_rows`: at
    the official vocabulary 655 kB a row, so there is one of these only where it is asked for."""

    def __init__(self, count: int, vocabulary: int, device: torch.device) -> None:
        self.met_BW = torch.zeros(count, vocabulary, dtype=torch.int32, device=device)
        self.repetition_B = torch.ones(count, dtype=torch.float32, device=device)
        self.presence_B = torch.zeros(count, dtype=torch.float32, device=device)
        self.frequency_B = torch.zeros(count, dtype=torch.float32, device=device)
        self._biased_BK = torch.full((count, MAX_BIASES), -1, dtype=torch.int32, device=device)
        self._biases_BK = torch.zeros(count, MAX_BIASES, dtype=torch.float32, device=device)

    def admit(self, rows: Sequence[int], requests: Sequence[Request]) -> None:
        """These rows are those of these requests from now on, with all of their tokens that are known."""
        device = self.met_BW.device
        parts = [(p.repetition_penalty, p.presence_penalty, p.frequency_penalty) for p in (request.params for request in requests)]
        rows_Q = sent(torch.tensor(rows), device)
        repetition_Q, presence_Q, frequency_Q = sent(torch.tensor(parts, dtype=torch.float32), device).unbind(1)
        self.repetition_B[rows_Q], self.presence_B[rows_Q], self.frequency_B[rows_Q] = repetition_Q, presence_Q, frequency_Q
        self._biased_BK[rows_Q] = -1
        for row, request in zip(rows, requests, strict=True):
            if request.params.penalises:
                prompt_X, answer_X = sent(torch.tensor(request.token_ids), device).tensor_split([request.num_prompt])
                self.met_BW[row] = 0
                self.met_BW[row, prompt_X] = 1
                self.count(torch.full_like(answer_X, row), answer_X, torch.ones_like(answer_X))
            if request.params.logit_bias:
                tokens, values = zip(*request.params.logit_bias, strict=True)
                self._biased_BK[row, : len(tokens)] = sent(torch.tensor(tokens, dtype=torch.int32), device)
                self._biases_BK[row, : len(tokens)] = sent(torch.tensor(values, dtype=torch.float32), device)

    def count(self, rows_Q: torch.Tensor, tokens_Q: torch.Tensor, active_Q: torch.Tensor) -> None:
        """The active of these rows have said their token once more; -1 is no token. int64."""
        places_Q = rows_Q * self.met_BW.shape[1] + tokens_Q.clamp(min=0)
        self.met_BW.view(-1).index_add_(0, places_Q, (2 * active_Q * (tokens_Q >= 0)).int())

    def weighed(self, logits_QW: torch.Tensor, rows: slice | torch.Tensor, ops: Operations) -> torch.Tensor:
        """The logits of these rows with penalties and biases, fp32 [Q, W]."""
        return ops.weigh_rows(
            logits_QW,
            self.met_BW[rows],
            self.repetition_B[rows],
            self.presence_B[rows],
            self.frequency_B[rows],
            self._biased_BK[rows],
            self._biases_BK[rows],
        )
