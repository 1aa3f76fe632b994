"""Each operation as its formula in fp64, one output at a time: what every implementation is compared with."""

import itertools

import torch
import torch.nn.functional as F


def varlen_attention(q, k, v, cu_seqlens, max_seqlen, *, causal, scale):
    q, k, v = q.double(), k.double(), v.double()
    out = torch.zeros_like(v)
    for start, stop in itertools.pairwise(cu_seqlens.tolist()):
        for token in range(start, stop):
            last = token + 1 if causal else stop
            scores = torch.einsum("hd,shd->hs", q[token], k[start:last]) * scale
            out[token] = torch.einsum("hs,shv->hv", scores.softmax(-1), v[start:last])
    return out


def latent_attention(q_latent, q_rope, cache, *, scale):
    q = torch.cat((q_latent, q_rope), dim=-1).double()
    cache, rank = cache.double(), q_latent.shape[-1]
    out = torch.zeros(q_latent.shape, dtype=torch.float64, device=cache.device)
    for token in range(q.shape[0]):
        visible = cache[: cache.shape[0] - q.shape[0] + token + 1]
        out[token] = (q[token] @ visible.T * scale).softmax(-1) @ visible[:, :rank]
    return out


def batched_latent_attention(q_latent, q_rope, cache, lengths, *, scale):
    seen = [rows[:length] for rows, length in zip(cache, lengths.tolist(), strict=True)]
    return torch.cat([latent_attention(q_latent[b, None], q_rope[b, None], rows, scale=scale) for b, rows in enumerate(seen)])


def paged_latent_attention(q_latent, q_rope, pages, page_table, cu_seqlens, lengths, *, scale):
    parts = []
    for b, length in enumerate(lengths.tolist()):
        rows = [pages[int(page_table[b, s // pages.shape[1]]), s % pages.shape[1]] for s in range(length)]
        rows = torch.stack(rows) if rows else pages[0, :0]
        new = slice(int(cu_seqlens[b]), int(cu_seqlens[b + 1]))
        parts.append(latent_attention(q_latent[new], q_rope[new], rows, scale=scale))
    return torch.cat(parts)


def routed_experts(x, gate_up, down, indices, weights):
    x, gate_up, down = x.double(), gate_up.double(), down.double()
    out = torch.zeros_like(x)
    for token in range(x.shape[0]):
        for expert, weight in zip(indices[token].tolist(), weights[token].double(), strict=True):
            gate, up = (gate_up[expert] @ x[token]).chunk(2)
            out[token] = out[token] + weight * (down[expert] @ (F.silu(gate) * up))
    return out
