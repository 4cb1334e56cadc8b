"""Training tokens per second of PyTorch, the yardstick of bench/train-against-pytorch.mjs.

A Llama-style model as plain as it gets: RMSNorm, RoPE, scaled_dot_product_attention, a ReLU^2 gated feed-forward, tied embeddings, fused
AdamW, clipping. One mode a process: f32 or bf16 (autocast; weights, moments and loss stay f32), eager or torch.compile. Prints one JSON line:
the median and the best of the timed steps, and the most memory that the process held.

    pip install torch && python3 bench/peers/torch_train.py [--mode f32-compile] [--dim 512 ...] [--threads 2] [--steps 6]
"""

import argparse
import json
import resource
import time

import torch
import torch.nn.functional as F
from torch import nn

MODES = ("f32", "f32-compile", "bf16", "bf16-compile")


class Block(nn.Module):
    def __init__(self, dim, hidden, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.ffn_norm = nn.RMSNorm(dim), nn.RMSNorm(dim)
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(dim, hidden, bias=False), nn.Linear(dim, hidden, bias=False)
        self.down = nn.Linear(hidden, dim, bias=False)

    def forward(self, x, cos, sin):
        def heads(y):
            return y.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

        def rotate(y):
            first, second = y.chunk(2, -1)
            return torch.cat([first * cos - second * sin, first * sin + second * cos], -1)

        h = self.attention_norm(x)
        mixed = F.scaled_dot_product_attention(
            rotate(heads(self.q(h))), rotate(heads(self.k(h))), heads(self.v(h)), is_causal=True
        )
        x = x + self.o(mixed.transpose(1, 2).reshape(x.shape))
        h = self.ffn_norm(x)
        return x + self.down(F.relu(self.gate(h)).square() * self.up(h))


class Model(nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.embedding = nn.Embedding(shape.vocab_size, shape.dim)
        self.blocks = nn.ModuleList(Block(shape.dim, shape.hidden_dim, shape.heads) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.dim)
        head_dim = shape.dim // shape.heads
        frequency = 10000 ** (-torch.arange(0, head_dim, 2) / head_dim)
        angle = torch.arange(shape.seq_len)[:, None] * frequency
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, ids, targets):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.view(-1, logits.shape[-1]).float(), targets.view(-1))


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=MODES, default="f32-compile")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=6)
    for name, value in {
        "dim": 512,
        "hidden-dim": 1408,
        "layers": 8,
        "heads": 8,
        "vocab-size": 4096,
        "seq-len": 256,
        "batch-size": 8,
    }.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def main():
    given = options()
    precision, _, compiled = given.mode.partition("-")
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = Model(given)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    forward = torch.compile(model) if compiled else model
    ids, targets = (torch.randint(given.vocab_size, (given.batch_size, given.seq_len)) for _ in range(2))
    seconds = []
    begin_all = time.perf_counter()
    for step in range(given.steps + 2):
        begin = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            loss = forward(ids, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step == 1:  # the first ones compile
            warm_up = time.perf_counter() - begin_all
        if step >= 2:
            seconds.append(time.perf_counter() - begin)
    seconds.sort()
    tokens = given.batch_size * given.seq_len
    median = seconds[len(seconds) // 2]
    print(
        json.dumps(
            {
                "torch": torch.__version__,
                "mode": given.mode,
                "threads": given.threads,
                "parameters": sum(p.numel() for p in model.parameters()),
                "tokensPerSecond": tokens / median,
                "best": tokens / seconds[0],
                "msPerStep": 1000 * median,
                "warmUpSeconds": warm_up,
                "loss": loss.item(),
                # KiB on Linux, where the modes are compared.
                "peakProcessBytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            }
        )
    )


if __name__ == "__main__":
    main()
