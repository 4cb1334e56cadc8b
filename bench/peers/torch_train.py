"""Training tokens per second of PyTorch on the shape d512-l8, the yardstick of bench/train-against-pytorch.mjs.

A Llama-style model as plain as it gets: RMSNorm, RoPE, scaled_dot_product_attention, a ReLU^2 gated feed-forward, tied embeddings, fused
AdamW, float32, torch.compile. Prints one JSON line: the median and the best of the timed steps.

    pip install torch && python3 bench/peers/torch_train.py [--threads 2] [--steps 6]
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch import nn

DIM, HIDDEN, LAYERS, HEADS, VOCABULARY, CONTEXT, BATCH = 512, 1408, 8, 8, 4096, 256, 8


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm, self.ffn_norm = nn.RMSNorm(DIM), nn.RMSNorm(DIM)
        self.q, self.k, self.v, self.o = (nn.Linear(DIM, DIM, bias=False) for _ in range(4))
        self.gate, self.up = nn.Linear(DIM, HIDDEN, bias=False), nn.Linear(DIM, HIDDEN, bias=False)
        self.down = nn.Linear(HIDDEN, DIM, bias=False)

    def forward(self, x, cos, sin):
        def heads(y):
            return y.view(*x.shape[:2], HEADS, DIM // HEADS).transpose(1, 2)

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
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, DIM)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.RMSNorm(DIM)
        frequency = 10000 ** (-torch.arange(0, DIM // HEADS, 2) / (DIM // HEADS))
        angle = torch.arange(CONTEXT)[:, None] * frequency
        self.register_buffer("cos", angle.cos())
        self.register_buffer("sin", angle.sin())

    def forward(self, ids, targets):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.embedding.weight)
        return F.cross_entropy(logits.view(-1, VOCABULARY), targets.view(-1))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--steps", type=int, default=6)
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4, fused=True)
    compiled = torch.compile(model)
    ids, targets = (torch.randint(VOCABULARY, (BATCH, CONTEXT)) for _ in range(2))
    seconds = []
    for step in range(given.steps + 2):
        begin = time.perf_counter()
        compiled(ids, targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step >= 2:  # the first ones compile
            seconds.append(time.perf_counter() - begin)
    seconds.sort()
    tokens = BATCH * CONTEXT
    median = seconds[len(seconds) // 2]
    print(json.dumps({"torch": torch.__version__, "tokensPerSecond": tokens / median, "best": tokens / seconds[0]}))


if __name__ == "__main__":
    main()
