"""A GGUF file of a Llama shape with random weights, for llama.cpp's llama-bench: what bench/inference-speed.mjs measures itself against.

Speed does not depend on the values of the weights, so that one block of random numbers, quantised once, fills every matrix. Embedding table and
output head are Q8_0 beside ternary weights, as in the packed checkpoints that they are compared with.

    pip install gguf && python3 bench/peers/llama_shape.py OUT.gguf --type F32|F16|BF16|Q8_0|TQ2_0 --dim 2048 --hidden-dim 5632 --layers 22
        --heads 32 --kv-heads 4 --vocab-size 32000 [--seq-len 2048] [--rope-theta 10000]
"""

import argparse

import gguf
import numpy as np

BLOCK_ROWS = 64


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--type", choices=("F32", "F16", "BF16", "Q8_0", "TQ2_0"), required=True)
    for name in ("dim", "hidden-dim", "layers", "heads", "kv-heads", "vocab-size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--seq-len", type=int, default=2048)
    parser.add_argument("--rope-theta", type=float, default=10000)
    return parser.parse_args()


def random_matrix(cache, rows, cols, kind):
    """[rows, cols] quantised: a block of random rows, repeated."""
    if (cols, kind) not in cache:
        block = np.random.default_rng(0).normal(0, 0.02, (BLOCK_ROWS, cols)).astype(np.float32)
        cache[cols, kind] = gguf.quants.quantize(block, kind)
    block = cache[cols, kind]
    return np.tile(block, (-(-rows // BLOCK_ROWS), 1))[:rows]


def main():
    shape = parse()
    kind = gguf.GGMLQuantizationType[shape.type]
    table = gguf.GGMLQuantizationType.Q8_0 if shape.type == "TQ2_0" else kind
    writer = gguf.GGUFWriter(shape.out, "llama")
    writer.add_name(f"random {shape.dim}")
    writer.add_context_length(shape.seq_len)
    writer.add_embedding_length(shape.dim)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.hidden_dim)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.dim // shape.heads)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_vocab_size(shape.vocab_size)
    writer.add_tokenizer_model("none")
    cache = {}

    def add(name, rows, cols, raw):
        writer.add_tensor(name, random_matrix(cache, rows, cols, raw), raw_dtype=raw)

    kv_dim = shape.dim // shape.heads * shape.kv_heads
    ones = np.ones(shape.dim, np.float32)
    add("token_embd.weight", shape.vocab_size, shape.dim, table)
    for layer in range(shape.layers):
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", ones)
        writer.add_tensor(f"blk.{layer}.ffn_norm.weight", ones)
        for name, rows, cols in (
            ("attn_q", shape.dim, shape.dim),
            ("attn_k", kv_dim, shape.dim),
            ("attn_v", kv_dim, shape.dim),
            ("attn_output", shape.dim, shape.dim),
            ("ffn_gate", shape.hidden_dim, shape.dim),
            ("ffn_up", shape.hidden_dim, shape.dim),
            ("ffn_down", shape.dim, shape.hidden_dim),
        ):
            add(f"blk.{layer}.{name}.weight", rows, cols, kind)
    writer.add_tensor("output_norm.weight", ones)
    add("output.weight", shape.vocab_size, shape.dim, table)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


main()
