"""Muon for the matrices inside the network, AdamW for the rest, over fp32 master weights.

Muon as in Moonlight (arXiv 2502.16982, §2): Nesterov momentum, five Newton-Schulz steps, update scaled by 0.2·sqrt(max(rows, columns))
so that AdamW's learning rate and weight decay carry over. Matrices of one shape are orthogonalised in one batched product: at nano's
size that is about 320 kernel launches a step instead of 8,000.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import torch
from torch import nn

OptimizerName = Literal["muon", "adamw"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
MUON_MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.95)
ADAM_EPS = 1e-8


def orthogonalise(matrices_BMN: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """The nearest matrices with singular values near one, by Newton-Schulz iteration in bf16 on a GPU (fp32 on a CPU). [B, M, N]."""
    a, b, c = NEWTON_SCHULZ
    x = matrices_BMN.to(torch.bfloat16 if matrices_BMN.is_cuda else torch.float32)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def muon_blocks(name: str, parameter: torch.Tensor) -> int:
    """How many separate matrices the rows of a parameter hold: fused projections are orthogonalised apart."""
    if name.endswith("wqkv.weight"):
        return 3
    if name.endswith("gate_up_proj"):
        return 2
    return 1


def is_muon(name: str, parameter: torch.Tensor) -> bool:
    """Matrices inside the network; not embeddings, output matrix, position table, convolution, norms, biases or auxiliary heads."""
    outside = ("embed_tokens", "lm_head", "pos_emb", "patch_embed", "glyph_head")
    return parameter.ndim >= 2 and not any(part in name for part in outside)


class MuonAdamW:
    """Holds fp32 masters of a model whose own weights may be bf16; `step` reads their gradients and writes the rounded result back."""

    def __init__(self, parameters: Iterable[tuple[str, nn.Parameter]], *, weight_decay: float, optimizer: OptimizerName = "muon") -> None:
        """`optimizer` "adamw" leaves every parameter to AdamW."""
        named = [(name, p) for name, p in parameters if p.requires_grad]
        orthogonalised = {name for name, p in named if optimizer == "muon" and is_muon(name, p)}
        self.weight_decay = weight_decay
        self.parameters = dict(named)
        self.masters = {name: p.detach().float().clone() for name, p in named}
        self.momenta = {name: torch.zeros_like(master) for name, master in self.masters.items()}
        self.squares = {name: torch.zeros_like(m) for name, m in self.masters.items() if name not in orthogonalised}
        device = next(iter(self.masters.values())).device
        # On the device, so that a recorded step counts, too.
        self.steps = torch.zeros((), dtype=torch.float64, device=device)
        self._shapes: dict[tuple[int, int], list[str]] = defaultdict(list)
        for name, master in self.masters.items():
            if name in orthogonalised:
                self._shapes[(master.shape[-2] // muon_blocks(name, master), master.shape[-1])].append(name)

    def forget(self) -> None:
        """Back to the state of an optimiser that has made no step; the masters stay."""
        torch._foreach_zero_([*self.momenta.values(), *self.squares.values()])
        self.steps.zero_()

    def step(self, lr: float | torch.Tensor, gradients: dict[str, torch.Tensor]) -> None:
        """One update with fp32 gradients (already averaged and clipped). `lr` may be a scalar on the device; nothing asks the host."""
        lr = lr if isinstance(lr, torch.Tensor) else torch.full_like(self.steps, lr)
        self.steps += 1
        for (rows, columns), names in self._shapes.items():
            self._muon(names, rows, columns, lr, gradients)
        if self.squares:
            self._adamw(list(self.squares), lr, gradients)
        torch._foreach_copy_([self.parameters[n].detach() for n in self.masters], list(self.masters.values()))

    def _muon(self, names: list[str], rows: int, columns: int, lr: torch.Tensor, gradients: dict[str, torch.Tensor]) -> None:
        grads, momenta, masters = [gradients[n] for n in names], [self.momenta[n] for n in names], [self.masters[n] for n in names]
        torch._foreach_mul_(momenta, MUON_MOMENTUM)
        torch._foreach_add_(momenta, grads)
        nesterov = torch._foreach_add(grads, momenta, alpha=MUON_MOMENTUM)
        update = orthogonalise(torch.cat([g.reshape(-1, rows, columns) for g in nesterov])).float()
        update *= (-lr * 0.2 * max(rows, columns) ** 0.5).float()
        pieces = update.split([m.numel() // (rows * columns) for m in masters])
        torch._foreach_mul_(masters, (1 - lr * self.weight_decay).float())
        torch._foreach_add_(masters, [piece.reshape(m.shape) for piece, m in zip(pieces, masters, strict=True)])

    def _adamw(self, names: list[str], lr: torch.Tensor, gradients: dict[str, torch.Tensor]) -> None:
        grads, momenta = [gradients[n] for n in names], [self.momenta[n] for n in names]
        squares, masters = [self.squares[n] for n in names], [self.masters[n] for n in names]
        beta1, beta2 = ADAM_BETAS
        torch._foreach_lerp_(momenta, grads, 1 - beta1)
        torch._foreach_mul_(squares, beta2)
        torch._foreach_addcmul_(squares, grads, grads, 1 - beta2)
        denominator = torch._foreach_div(squares, (1 - beta2**self.steps).float())
        torch._foreach_sqrt_(denominator)
        torch._foreach_add_(denominator, ADAM_EPS)
        self._decay([n for n in names if is_muon(n, self.masters[n])], lr)
        update = torch._foreach_div(momenta, denominator)
        torch._foreach_mul_(update, (-lr / (1 - beta1**self.steps)).float())
        torch._foreach_add_(masters, update)

    def _decay(self, names: list[str], lr: torch.Tensor) -> None:
        """Weight decay on the matrices inside the network only, as under Muon."""
        if names:
            torch._foreach_mul_([self.masters[n] for n in names], (1 - lr * self.weight_decay).float())

    def state(self) -> dict[str, torch.Tensor]:
        """Everything a bitwise resume needs, as flat tensors."""
        state = {f"master/{n}": t for n, t in self.masters.items()}
        state |= {f"momentum/{n}": t for n, t in self.momenta.items()}
        state |= {f"square/{n}": t for n, t in self.squares.items()}
        return state | {"steps": self.steps}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        for kind, tensors in (("master", self.masters), ("momentum", self.momenta), ("square", self.squares)):
            for name, tensor in tensors.items():
                tensor.copy_(state[f"{kind}/{name}"])
        self.steps.copy_(state["steps"])
        torch._foreach_copy_([self.parameters[n].detach() for n in self.masters], list(self.masters.values()))
