"""A second implementation of the network, to compare with: plain formulas, one image and one token at a time, torch and numpy only.

Nothing here comes from the package. Sizes are those of a `config.json` dictionary, names those of the official checkpoint, and the
arithmetic runs in the dtype of the weights, so that fp64 weights give an fp64 reference. With the configuration TINY, seed 0 and
`GOLDEN_GRIDS` it computes the numbers of `data/golden_tiny.json`, which the official modelling code produced (MODEL_SPEC §8, 3).
"""

import math

import numpy as np
import torch
import torch.nn.functional as F

from tests.configs import TINY

GOLDEN_GRIDS = [(6, 10), (4, 8)]
LATENT_EPS = 1e-6
LAYER_NORM_EPS = 1e-5


def resized(*, vision=None, text=None):
    """The configuration TINY with some sizes replaced."""
    text = TINY["text_config"] | (text or {})
    text["num_key_value_heads"] = text["num_attention_heads"]
    return TINY | {"vision_config": TINY["vision_config"] | (vision or {}), "text_config": text}


def tensor_shapes(config):
    """Official tensor names and shapes (MODEL_SPEC §2)."""
    return dict([*_vision_shapes(config["vision_config"], config["text_config"]["hidden_size"]), *_text_shapes(config["text_config"])])


def _vision_shapes(v, decoder_width):
    width, patch = v["hidden_size"], v["patch_size"]

    def linear(name, outputs, inputs):
        return [(name + ".weight", (outputs, inputs)), (name + ".bias", (outputs,))]

    def norm(name):
        return [(name + ".weight", (width,)), (name + ".bias", (width,))]

    yield "vision_tower.patch_embed.proj.weight", (width, 3, patch, patch)
    yield "vision_tower.patch_embed.proj.bias", (width,)
    yield "vision_tower.patch_embed.pos_emb.weight", (v["init_pos_emb_height"], v["init_pos_emb_width"], width)
    for i in range(v["num_hidden_layers"]):
        block = f"vision_tower.encoder.blocks.{i}."
        yield from [*norm(block + "norm0"), *norm(block + "norm1")]
        yield from [*linear(block + "wqkv", 3 * width, width), *linear(block + "wo", width, width)]
        yield from linear(block + "mlp.fc0", v["intermediate_size"], width)
        yield from linear(block + "mlp.fc1", width, v["intermediate_size"])
    yield from [*norm("vision_tower.encoder.final_layernorm"), *norm("multi_modal_projector.pre_norm")]
    yield from linear("multi_modal_projector.linear_1", 4 * width, 4 * width)
    yield from linear("multi_modal_projector.linear_2", decoder_width, 4 * width)


def _text_shapes(t):
    width, heads, rank = t["hidden_size"], t["num_attention_heads"], t["kv_lora_rank"]
    nope, rope, value = t["qk_nope_head_dim"], t["qk_rope_head_dim"], t["v_head_dim"]

    def gated(name, inner):
        return [(f"{name}.{side}_proj.weight", (inner, width)) for side in ("gate", "up")] + [(f"{name}.down_proj.weight", (width, inner))]

    yield "language_model.model.embed_tokens.weight", (t["vocab_size"], width)
    yield "language_model.lm_head.weight", (t["vocab_size"], width)
    yield "language_model.model.norm.weight", (width,)
    for i in range(t["num_hidden_layers"]):
        layer = f"language_model.model.layers.{i}."
        yield layer + "input_layernorm.weight", (width,)
        yield layer + "post_attention_layernorm.weight", (width,)
        yield layer + "self_attn.q_proj.weight", (heads * (nope + rope), width)
        yield layer + "self_attn.kv_a_proj_with_mqa.weight", (rank + rope, width)
        yield layer + "self_attn.kv_a_layernorm.weight", (rank,)
        yield layer + "self_attn.kv_b_proj.weight", (heads * (nope + value), rank)
        yield layer + "self_attn.o_proj.weight", (width, heads * value)
        if i < t["first_k_dense_replace"]:
            yield from gated(layer + "mlp", t["intermediate_size"])
            continue
        yield layer + "mlp.gate.weight", (t["n_routed_experts"], width)
        yield layer + "mlp.gate.e_score_correction_bias", (t["n_routed_experts"],)
        if t["n_shared_experts"]:
            yield from gated(layer + "mlp.shared_experts", t["moe_intermediate_size"] * t["n_shared_experts"])
        for e in range(t["n_routed_experts"]):
            yield from gated(f"{layer}mlp.experts.{e}", t["moe_intermediate_size"])


def noise(index, count):
    """`count` values in [-1, 1) that depend on nothing but the two numbers: a hash by fp64 sine, the same on every machine."""
    x = np.sin(12.9898 * (index + 1) + 78.233 * (np.arange(count, dtype=np.float64) + 1.0)) * 43758.5453
    return 2.0 * (x - np.floor(x)) - 1.0


def make_weights(config, seed=0, dtype=torch.float32):
    """Weights under the official names; seed 0 are those of the golden numbers."""
    weights = {}
    for index, (name, shape) in enumerate(sorted(tensor_shapes(config).items())):
        u = noise(index + 10_007 * seed, math.prod(shape)).reshape(shape)
        if name.endswith("e_score_correction_bias"):
            u = 0.2 * u
        elif "norm" in name and name.endswith("weight"):
            u = 1.0 + 0.1 * u
        elif name.endswith("bias"):
            u = 0.1 * u
        elif "pos_emb" in name:
            u = 0.5 * u
        else:
            u = 2.0 * u / math.sqrt(math.prod(shape[1:]))
        weights[name] = torch.tensor(u, dtype=torch.float32).to(dtype)
    return weights


def make_inputs(config, grids, seed=0):
    """Token ids [T] with text before, between and behind the images' placeholders, and pixels [P, 3, patch, patch]."""
    media, vocab, patch = config["media_placeholder_token_id"], config["text_config"]["vocab_size"], config["vision_config"]["patch_size"]
    ids, written = [], 0
    for index, length in enumerate([5, *([3] * (len(grids) - 1)), 4] if grids else [9]):
        text = [(7 * (written + i) + 3 + 11 * seed) % (vocab - 13) for i in range(length)]
        ids += [token if token != media else media + 1 for token in text]
        written += length
        if index < len(grids):
            ids += [media] * (grids[index][0] * grids[index][1] // 4)
    patches = sum(h * w for h, w in grids)
    pixels = torch.tensor(noise(9999 + seed, patches * 3 * patch * patch).reshape(patches, 3, patch, patch), dtype=torch.float32)
    return torch.tensor(ids), pixels


def pair_rotate(x, angles):
    """Turn adjacent pairs; x [n, heads, d], angles [n, d/2]."""
    cos, sin = angles.cos()[:, None], angles.sin()[:, None]
    a, b = x[..., 0::2], x[..., 1::2]
    return torch.stack([a * cos - b * sin, a * sin + b * cos], -1).flatten(-2)


class Reference:
    def __init__(self, config, weights):
        self.config, self.v, self.t = config, config["vision_config"], config["text_config"]
        self.weights = weights
        self.dtype = weights["language_model.lm_head.weight"].dtype

    def double(self):
        return Reference(self.config, {name: w.double() for name, w in self.weights.items()})

    def linear(self, x, name):
        return F.linear(x, self.weights[name + ".weight"], self.weights.get(name + ".bias"))

    def layer_norm(self, x, name):
        return F.layer_norm(x, x.shape[-1:], self.weights[name + ".weight"], self.weights[name + ".bias"], LAYER_NORM_EPS)

    def rms_norm(self, x, name, eps):
        return self.weights[name + ".weight"] * (x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + eps))

    def gated_mlp(self, x, name):
        return self.linear(F.silu(self.linear(x, name + ".gate_proj")) * self.linear(x, name + ".up_proj"), name + ".down_proj")

    def vision_mlp(self, x, block):
        return self.linear(F.gelu(self.linear(x, block + "mlp.fc0"), approximate="tanh"), block + "mlp.fc1")

    def vision_attention(self, x, angles, block):
        heads = self.v["num_attention_heads"]
        width = self.v["hidden_size"] // heads
        q, k, v = self.linear(x, block + "wqkv").view(-1, 3, heads, width).unbind(1)
        q, k = pair_rotate(q, angles), pair_rotate(k, angles)
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(width)
        return self.linear(torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).flatten(1), block + "wo")

    def image_patches(self, pixels, height, width):
        """One image to patch vectors [P, C]."""
        embed = "vision_tower.patch_embed."
        x = pixels.to(self.dtype).flatten(1) @ self.weights[embed + "proj.weight"].flatten(1).T + self.weights[embed + "proj.bias"]
        table = self.weights[embed + "pos_emb.weight"].permute(2, 0, 1)[None]
        x = x + F.interpolate(table, size=(height, width), mode="bicubic")[0].flatten(1).T
        head = self.v["hidden_size"] // self.v["num_attention_heads"]
        frequency = 10000.0 ** (-torch.arange(0, head, 4, dtype=self.dtype) / head)
        row = torch.arange(height).repeat_interleave(width).to(self.dtype)
        column = torch.arange(width).repeat(height).to(self.dtype)
        angles = torch.stack([column[:, None] * frequency, row[:, None] * frequency], -1).flatten(1)
        for i in range(self.v["num_hidden_layers"]):
            block = f"vision_tower.encoder.blocks.{i}."
            x = x + self.vision_attention(self.layer_norm(x, block + "norm0"), angles, block)
            x = x + self.vision_mlp(self.layer_norm(x, block + "norm1"), block)
        return self.layer_norm(x, "vision_tower.encoder.final_layernorm")

    def project(self, cells):
        """Cells of four patches [M, 4, C] to decoder tokens [M, D]."""
        x = self.layer_norm(cells, "multi_modal_projector.pre_norm").flatten(1)
        return self.linear(F.gelu(self.linear(x, "multi_modal_projector.linear_1")), "multi_modal_projector.linear_2")

    def image_tokens(self, pixels, grids):
        features, start = [], 0
        for height, width in grids:
            x = self.image_patches(pixels[start : start + height * width], height, width)
            start += height * width
            features.append(self.project(x.view(height // 2, 2, width // 2, 2, -1).transpose(1, 2).reshape(-1, 4, x.shape[-1])))
        return torch.cat(features)

    def attention(self, x, layer):
        """Latent attention of decoder layer `layer` over one sequence x [S, D], in absorbed form."""
        t, name = self.t, f"language_model.model.layers.{layer}.self_attn."
        nope, rope, value, rank, heads = (
            t[key] for key in ("qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "kv_lora_rank", "num_attention_heads")
        )
        length = x.shape[0]
        positions = torch.arange(length, dtype=self.dtype)[:, None]
        angles = positions * t["rope_theta"] ** (-torch.arange(0, rope, 2, dtype=self.dtype) / rope)
        q_nope, q_rope = self.linear(x, name + "q_proj").view(length, heads, -1).split([nope, rope], -1)
        latent, k_rope = self.linear(x, name + "kv_a_proj_with_mqa").split([rank, rope], -1)
        latent = self.rms_norm(latent, name + "kv_a_layernorm", LATENT_EPS)
        q_rope, k_rope = pair_rotate(q_rope, angles), pair_rotate(k_rope[:, None], angles)[:, 0]
        up = self.weights[name + "kv_b_proj.weight"].view(heads, nope + value, rank)
        scores = torch.einsum("qhd,hdr,kr->hqk", q_nope, up[:, :nope], latent) + torch.einsum("qhd,kd->hqk", q_rope, k_rope)
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        weights = (scores * (nope + rope) ** -0.5).masked_fill(future, float("-inf")).softmax(-1)
        return self.linear(torch.einsum("hqk,kr,hvr->qhv", weights, latent, up[:, nope:]).flatten(1), name + "o_proj")

    def mixture(self, x, layer):
        """Shared and routed experts of decoder layer `layer`, token by token."""
        t, name = self.t, f"language_model.model.layers.{layer}.mlp."
        scores = torch.sigmoid(self.linear(x, name + "gate"))
        chosen = (scores + self.weights[name + "gate.e_score_correction_bias"]).topk(t["num_experts_per_tok"], -1).indices
        weights = scores.gather(1, chosen)
        if t["norm_topk_prob"]:
            weights = weights / (weights.sum(-1, keepdim=True) + 1e-20)
        weights = weights * t["routed_scaling_factor"]
        y = self.gated_mlp(x, name + "shared_experts") if t["n_shared_experts"] else torch.zeros_like(x)
        for token in range(x.shape[0]):
            for expert, weight in zip(chosen[token].tolist(), weights[token], strict=True):
                y[token] = y[token] + weight * self.gated_mlp(x[token], f"{name}experts.{expert}")
        return y

    def decode(self, x):
        """Embeddings of one sequence [S, D] to logits [S, W]."""
        t = self.t
        for i in range(t["num_hidden_layers"]):
            name = f"language_model.model.layers.{i}."
            x = x + self.attention(self.rms_norm(x, name + "input_layernorm", t["rms_norm_eps"]), i)
            normed = self.rms_norm(x, name + "post_attention_layernorm", t["rms_norm_eps"])
            x = x + (self.gated_mlp(normed, name + "mlp") if i < t["first_k_dense_replace"] else self.mixture(normed, i))
        return self.linear(self.rms_norm(x, "language_model.model.norm", t["rms_norm_eps"]), "language_model.lm_head")

    @torch.no_grad()
    def __call__(self, ids, pixels, grids):
        """(features [M, D], logits [S, W]) of one sequence."""
        x = self.weights["language_model.model.embed_tokens.weight"][ids]
        if not grids:
            return x.new_zeros(0, x.shape[-1]), self.decode(x)
        features = self.image_tokens(pixels, grids)
        x[ids == self.config["media_placeholder_token_id"]] = features
        return features, self.decode(x)
