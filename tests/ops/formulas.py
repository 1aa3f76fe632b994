"""Each operation as its formula in fp64, one output at a time: what every implementation is compared with."""

import itertools
import math

import torch
import torch.nn.functional as F


def rms_norm(x, weight, eps):
    x = x.double()
    return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight.double()


def add_rms_norm(x, update, weight, eps):
    total = (x.double() + update.double()).to(x.dtype)  # what the next half of the layer goes on with
    return total, rms_norm(total, weight, eps)


def rotated(x, cos, sin):
    turned = torch.view_as_complex(x.double().unflatten(-1, (-1, 2))) * torch.complex(cos.double(), sin.double())[:, None]
    return torch.view_as_real(turned).flatten(-2)


def rotate_qk(qkv, cos, sin):
    return rotated(qkv[:, 0], cos, sin), rotated(qkv[:, 1], cos, sin)


def latent_rows(q_rope, projected, weight, eps, cos, sin, *, in_place=False):
    latent, key = projected.tensor_split([weight.shape[0]], dim=-1)
    return rotated(q_rope, cos, sin), torch.cat((rms_norm(latent, weight, eps), rotated(key[:, None], cos, sin)[:, 0]), dim=-1)


def write_latent(q_rope, projected, weight, eps, cos, sin, slots, pages):
    """The rotated queries, and the pages as they are afterwards."""
    turned, rows = latent_rows(q_rope, projected, weight, eps, cos, sin)
    after = pages.double()
    for slot, row in zip(slots.tolist(), rows, strict=True):
        if slot >= 0:
            after[slot // pages.shape[1], slot % pages.shape[1]] = row
    return turned, after


def route(x, weight, bias, top_k, *, renormalise, scaling_factor):
    """The weight of every expert for every token, 0 for those not chosen."""
    scores = torch.sigmoid(x.double() @ weight.double().T)
    weights = torch.zeros_like(scores)
    for token, row in enumerate(scores):
        best = sorted(range(len(row)), key=lambda expert: -float(row[expert] + bias[expert]))[:top_k]
        weights[token, best] = row[best] / row[best].sum() if renormalise else row[best]
    return weights * scaling_factor


def varlen_attention(q, k, v, cu_seqlens, max_seqlen, *, causal, scale, lengths=None):
    q, k, v = q.double(), k.double(), v.double()
    out = torch.zeros_like(v)
    for start, stop in itertools.pairwise(cu_seqlens.tolist()):
        for token in range(start, stop):
            last = token + 1 if causal else stop
            scores = torch.einsum("hd,shd->hs", q[token], k[start:last]) * scale
            out[token] = torch.einsum("hs,shv->hv", scores.softmax(-1), v[start:last])
    return out


def expand_latents(rows, kv_up, num_heads, width):
    latent, k_rope = rows.double().split([kv_up.shape[1], rows.shape[1] - kv_up.shape[1]], dim=-1)
    kv = torch.einsum("sl,hwl->shw", latent, kv_up.double().unflatten(0, (num_heads, -1)))
    nope = width - k_rope.shape[1]
    return torch.cat((kv[..., :nope], k_rope[:, None].expand(-1, num_heads, -1)), dim=-1), kv[..., nope:]


def expanded_latent_attention(q, rows, kv_up, *, scale):
    q, latents, kv_up = q.double(), rows[:, : kv_up.shape[1]].double(), kv_up.double()
    keys = rows[:, kv_up.shape[1] :].double()
    num_new, heads, width = q.shape
    maps = kv_up.view(heads, -1, kv_up.shape[1])
    nope = width - keys.shape[1]
    out = torch.zeros(num_new, heads, maps.shape[1] - nope, dtype=torch.float64, device=q.device)
    for token, head in itertools.product(range(num_new), range(heads)):
        last = len(rows) - num_new + token + 1
        scores = latents[:last] @ (maps[head, :nope].T @ q[token, head, :nope]) + keys[:last] @ q[token, head, nope:]
        out[token, head] = maps[head, nope:] @ ((scores * scale).softmax(-1) @ latents[:last])
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


def fp8(x, block=None):
    """The nearest numbers of e4m3 with a scale for each row, or for each `block` of it, that makes the largest 448."""
    found = []
    for value, step, scale in _steps(x, block):
        found.append((value / step).round() * step * scale)
    return torch.cat(found, dim=-1)


def fp8_ties(x, block=None):
    """The step between two such numbers where `x` lies so near to the middle of it that a sum with 14 bits may fall to either, and 0
    elsewhere. Such a sum is off by up to 2^-13 of its largest summand, which is taken for the block's largest value."""
    found = []
    for value, step, scale in _steps(x, block):
        from_middle = ((value / step) % 1.0 - 0.5).abs() * step
        found.append(torch.where(from_middle < 448 * 2.0**-12, step, 0.0) * scale)
    return torch.cat(found, dim=-1)


def _steps(x, block):
    """Of each block: its values in units of their scale, the step at each, the scale."""
    for part in x.double().split(block or max(1, x.shape[-1]), dim=-1):
        largest = part.abs().amax(-1, keepdim=True)
        scale = torch.where(largest > 0, largest / 448, 1.0)
        value = part / scale
        yield value, 2.0 ** (value.abs().clamp(min=2.0**-6).log2().floor() - 3), scale


def exactly(x):
    return x.double()


def routed_experts(x, gate_up, down, indices, weights, rounded=exactly, inner=exactly):
    """`rounded` and `inner` are what is made of a token, and of an expert's inner values, before they are multiplied."""
    x, gate_up, down = rounded(x), gate_up.double(), down.double()
    out = torch.zeros_like(x)
    for token in range(x.shape[0]):
        for expert, weight in zip(indices[token].tolist(), weights[token].double(), strict=True):
            gate, up = (gate_up[expert] @ x[token]).chunk(2)
            out[token] = out[token] + weight * (down[expert] @ inner(F.silu(gate) * up))
    return out


def gated_mlp(x, gate, up, down, residual=None, rounded=exactly, inner=exactly):
    x, gate, up, down = rounded(x), gate.double(), up.double(), down.double()
    y = torch.stack([down @ inner(F.silu(gate @ row) * (up @ row)) for row in x]) if len(x) else torch.zeros_like(x)
    return y if residual is None else residual.double() + y


def mixture(x, residual, gate_up, down, indices, weights, shared):
    y = routed_experts(x, gate_up, down, indices, weights)
    if shared is not None:
        y = y + gated_mlp(x, *shared)
    return y if residual is None else residual.double() + y


def weigh_rows(logits, met, repetition, presence, frequency, biased, biases):
    out = logits.double()
    for b, row in enumerate(met.tolist()):
        for token, count in enumerate(row):
            if count > 0:
                out[b, token] = out[b, token] / repetition[b] if out[b, token] > 0 else out[b, token] * repetition[b]
            if count > 1:
                out[b, token] -= presence[b].double() + (count // 2) * frequency[b].double()
        for token, bias in zip(biased[b].tolist(), biases[b].double(), strict=True):
            if token >= 0:
                out[b, token] += bias
    return out


def draw_rows(logits, uniforms, temperature, top_k=None, top_p=None, min_p=None, *, excluded):
    """What each row's token is drawn from: the probability of every token, all 0 for a row that has no distribution."""
    probs = torch.zeros(logits.shape, dtype=torch.float64)
    for b, row in enumerate(logits.tolist()):
        left = [(x, token) for token, x in enumerate(row) if token != excluded and x > -math.inf]
        if not left or any(x != x or x == math.inf for x in row):
            continue
        ranked = sorted(left, key=lambda pair: (-pair[0], pair[1]))
        if float(temperature[b]) == 0:
            probs[b, ranked[0][1]] = 1.0
            continue
        kept = [(math.exp((x - ranked[0][0]) / float(temperature[b])), token) for x, token in ranked]
        if top_k is not None:
            kept = kept[: int(top_k[b]) or None]
            limit, before = float(top_p[b]) * math.fsum(weight for weight, _ in kept), itertools.accumulate(w for w, _ in kept)
            reached = [0.0, *before][: len(kept)]
            kept = [pair for k, (pair, mass) in enumerate(zip(kept, reached, strict=True)) if k == 0 or mass < limit or top_p[b] >= 1]
            kept = [(weight, token) for weight, token in kept if weight >= float(min_p[b])]
        total = math.fsum(weight for weight, _ in kept)
        for weight, token in kept:
            probs[b, token] = weight / total
    return probs
