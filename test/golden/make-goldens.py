"""Makes the golden files of this folder with PyTorch: `python test/golden/make-goldens.py` (a few seconds; torch, safetensors).

A second, independent statement of the method: plain autograd over the formulas of the paper, the straight-through estimator as
the usual detach trick, torch.optim.AdamW. All results are computed in float64 from weights that are exact in float32.

Top-K is discontinuous, so tokens are searched for each variant until no selection is a close call: every cut has a gap of at
least MARGIN of the token's largest |x|, and ten optimiser steps in float32 and in float64 agree.

Written: data/weights.safetensors (shared by the variants, Hugging Face Llama names, matrices [out, in]),
data/VARIANT.safetensors (tokens, logits, grad.NAME), data/goldens.json (configuration, losses, ten AdamW steps).
"""
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

OUT = Path(__file__).parent / "data"
BATCH, SEQ_LEN = 2, 12
# headDim 6 and widths that are no powers of two: remainders of vector loops are used.
SHAPE = dict(dim=24, hiddenDim=50, nLayers=2, nHeads=4, nKvHeads=2, headDim=6, vocabSize=37, ropeTheta=10000.0, normEps=1e-5)
MARGIN = 3e-5
ADAMW = dict(lr=1e-3, beta1=0.9, beta2=0.95, eps=1e-8, weightDecay=0.1, clipNorm=1.0)


BF16_TRACE = 2e-3  # rounding to 8 bits: a last bit of f32 may move an operand by 2^-8 of itself


def variant(activation, qkv, o, gateUp, down, **more):
    config = dict(SHAPE, activation=activation, sparsity=dict(qkv=qkv, o=o, gateUp=gateUp, down=down), seqLen=SEQ_LEN)
    return dict(config, **dict(dict(gradient="straight-through", rescale="none", hiddenL1=0.0, tiedEmbeddings=True), **more))


VARIANTS = {
    "dense-silu-untied": variant("silu", 0, 0, 0, 0, tiedEmbeddings=False),
    "topk-relu2": variant("relu2", 0.5, 0.5, 0.5, 0),
    "masked-silu": variant("silu", 0.4, 0.4, 0.4, 0.4, gradient="masked"),
    "rescale-relu2": variant("relu2", 0.5, 0.5, 0.5, 0.5, rescale="l2"),
    "topk-relu-l1": variant("relu", 0.4, 0.4, 0.4, 0, hiddenL1=0.01),
    "topk-relu2-bf16": variant("relu2", 0.5, 0.5, 0.5, 0, precision="bf16"),
    "dense-silu-bf16": variant("silu", 0, 0, 0, 0, tiedEmbeddings=False, precision="bf16"),
    "per-layer-silu": variant("silu", [0.0, 0.6], [0.3, 0.7], 0.5, [0.75, 0.25]),
}


class RoundedProduct(torch.autograd.Function):
    """y = x W^T with both operands of each of the three products rounded to bfloat16, sums in the dtype of x."""

    @staticmethod
    def round(x):
        return x.to(torch.float32).to(torch.bfloat16).to(x.dtype)

    @staticmethod
    def forward(ctx, x, weight):
        ctx.save_for_backward(x, weight)
        return RoundedProduct.round(x) @ RoundedProduct.round(weight).T

    @staticmethod
    def backward(ctx, dY):
        x, weight, dY = (RoundedProduct.round(t) for t in (*ctx.saved_tensors, dY))
        return dY @ weight, dY.flatten(0, -2).T @ x.flatten(0, -2)


class Model:
    def __init__(self, config, weights, dtype):
        bf16 = config.get("precision") == "bf16"
        self.product = RoundedProduct.apply if bf16 else lambda x, weight: x @ weight.T
        self.c, self.p = config, {n: w.clone().to(dtype).requires_grad_() for n, w in weights.items()}
        self.margin = math.inf

    def sparsity(self, point, layer):
        s = self.c["sparsity"][point]
        return s[layer] if isinstance(s, list) else s

    def select(self, x, point, layer):
        width = x.shape[-1]
        kept = width - math.floor(self.sparsity(point, layer) * width)
        y = x
        if kept < width:
            size = x.detach().abs()
            order = torch.argsort(size, dim=-1, descending=True, stable=True)  # stable: ties go to the lower index
            mask = torch.zeros_like(x).scatter_(-1, order[..., :kept], 1)
            self.note_margin(size, order, kept)
            y = x * mask if self.c["gradient"] == "masked" else x + (x * mask - x).detach()
        if self.c["rescale"] == "l2":
            y = y / (y.norm(dim=-1, keepdim=True) + 1e-6) * math.sqrt(width)
        return y

    def note_margin(self, size, order, kept):
        ranked = size.gather(-1, order)
        gap = (ranked[..., kept - 1] - ranked[..., kept]) / ranked[..., 0].clamp_min(1e-30)
        close = gap[gap > 0]  # equal values (zeros; copied heads of token 0) are decided by the index, not by rounding
        self.margin = min(self.margin, close.min().item() if len(close) else math.inf)

    def norm(self, x, name):
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + self.c["normEps"]) * self.p[name]

    def rotate(self, x):  # [B, heads, T, headDim]; feature i with feature i + headDim / 2
        half = x.shape[-1] // 2
        frequency = self.c["ropeTheta"] ** (-torch.arange(half, dtype=torch.float64) / half)
        angle = torch.arange(x.shape[-2], dtype=torch.float64)[:, None] * frequency
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def attention(self, x, prefix):
        B, T, _ = x.shape
        heads = lambda name, n: self.product(x, self.p[f"{prefix}{name}_proj.weight"]).view(B, T, n, self.c["headDim"]).transpose(1, 2)
        q, k, v = heads("q", self.c["nHeads"]), heads("k", self.c["nKvHeads"]), heads("v", self.c["nKvHeads"])
        q, k = self.rotate(q), self.rotate(k)
        group = self.c["nHeads"] // self.c["nKvHeads"]
        k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return out.transpose(1, 2).reshape(B, T, -1)

    def forward(self, ids):
        gate_of = {"silu": F.silu, "relu": F.relu, "relu2": lambda g: F.relu(g) ** 2}[self.c["activation"]]
        x, l1 = self.p["model.embed_tokens.weight"][ids], 0.0
        for i in range(self.c["nLayers"]):
            pre = f"model.layers.{i}."
            mixed = self.attention(self.select(self.norm(x, pre + "input_layernorm.weight"), "qkv", i), pre + "self_attn.")
            x = x + self.product(self.select(mixed, "o", i), self.p[pre + "self_attn.o_proj.weight"])
            h = self.select(self.norm(x, pre + "post_attention_layernorm.weight"), "gateUp", i)
            gate = self.product(h, self.p[pre + "mlp.gate_proj.weight"])
            hidden = gate_of(gate) * self.product(h, self.p[pre + "mlp.up_proj.weight"])
            l1 = l1 + self.c["hiddenL1"] * hidden.abs().sum(-1).mean() / self.c["nLayers"]
            x = x + self.product(self.select(hidden, "down", i), self.p[pre + "mlp.down_proj.weight"])
        head = self.p["model.embed_tokens.weight" if self.c["tiedEmbeddings"] else "lm_head.weight"]
        return self.product(self.norm(x, "model.norm.weight"), head), l1

    def losses(self, ids, targets):
        logits, l1 = self.forward(ids)
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten()), l1

    def ten_steps(self, ids, targets):
        a, table = ADAMW, self.p["model.embed_tokens.weight"]
        decayed = [w for w in self.p.values() if w.dim() == 2 and w is not table]
        others = [w for w in self.p.values() if w.dim() == 1 or w is table]
        groups = [dict(params=decayed, weight_decay=a["weightDecay"]), dict(params=others, weight_decay=0.0)]
        optimizer = torch.optim.AdamW(groups, lr=a["lr"], betas=(a["beta1"], a["beta2"]), eps=a["eps"])
        trace = []
        for _ in range(10):
            optimizer.zero_grad()
            _, loss, l1 = self.losses(ids, targets)
            (loss + l1).backward()
            torch.nn.utils.clip_grad_norm_(list(self.p.values()), a["clipNorm"])
            optimizer.step()
            trace.append(loss.item())
        return trace


def make_weights(seed):
    g, c = torch.Generator().manual_seed(seed), SHAPE
    matrix = lambda *shape: torch.randn(*shape, generator=g) * 0.2
    norm = lambda: 1 + torch.randn(c["dim"], generator=g) * 0.2
    q, kv = c["nHeads"] * c["headDim"], c["nKvHeads"] * c["headDim"]
    weights = {"model.embed_tokens.weight": matrix(c["vocabSize"], c["dim"])}
    for i in range(c["nLayers"]):
        a, m = f"model.layers.{i}.self_attn.", f"model.layers.{i}.mlp."
        weights |= {f"model.layers.{i}.input_layernorm.weight": norm(), f"model.layers.{i}.post_attention_layernorm.weight": norm()}
        weights |= {a + "q_proj.weight": matrix(q, c["dim"]), a + "k_proj.weight": matrix(kv, c["dim"])}
        weights |= {a + "v_proj.weight": matrix(kv, c["dim"]), a + "o_proj.weight": matrix(c["dim"], q)}
        weights |= {m + "gate_proj.weight": matrix(c["hiddenDim"], c["dim"]), m + "up_proj.weight": matrix(c["hiddenDim"], c["dim"])}
        weights |= {m + "down_proj.weight": matrix(c["dim"], c["hiddenDim"])}
    return weights | {"model.norm.weight": norm(), "lm_head.weight": matrix(c["vocabSize"], c["dim"])}


def make_variant(name, config, weights):
    weights = {n: w for n, w in weights.items() if n != "lm_head.weight" or not config["tiedEmbeddings"]}
    for seed in range(1000):
        tokens = torch.randint(0, config["vocabSize"], (BATCH, SEQ_LEN + 1), generator=torch.Generator().manual_seed(seed))
        ids, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        model = Model(config, weights, torch.float64)
        logits, loss, l1 = model.losses(ids, targets)
        if model.margin < MARGIN:
            continue
        (loss + l1).backward()
        traces = [Model(config, weights, dtype).ten_steps(ids, targets) for dtype in (torch.float64, torch.float32)]
        if max(abs(a - b) for a, b in zip(*traces)) < (BF16_TRACE / 4 if config.get("precision") else 2e-6):
            break
    else:
        raise RuntimeError(f"no tokens without a close call for {name}")
    arrays = {"input_ids": ids.int(), "target_ids": targets.int(), "logits": logits.detach().float()}
    arrays |= {f"grad.{n}": w.grad.float().contiguous() for n, w in model.p.items()}
    save_file(arrays, OUT / f"{name}.safetensors")
    print(f"{name}: seed {seed}, loss {loss.item():.6f}, margin {model.margin:.1e}")
    return dict(config=config, seed=seed, loss=loss.item(), l1=float(torch.as_tensor(l1).detach()), lossOfTenSteps=traces[0])


def main():
    OUT.mkdir(exist_ok=True)
    weights = make_weights(2024)
    save_file(weights, OUT / "weights.safetensors")
    variants = {name: make_variant(name, config, weights) for name, config in VARIANTS.items()}
    goldens = dict(torch=torch.__version__, batch=BATCH, seqLen=SEQ_LEN, adamw=ADAMW, variants=variants)
    (OUT / "goldens.json").write_text(json.dumps(goldens, indent=1) + "\n")


if __name__ == "__main__":
    main()
