"""Makes data/gguf-writer.gguf with the `gguf` Python package: what src/formats/gguf-writer.ts must write byte by byte.

    pip install gguf && python test/golden/make-gguf-writer-golden.py

Numbers are multiples of 2^-9 by a formula that the test repeats; among them are a block of zeros and, in Q8_0, ties between two codes.
"""
from pathlib import Path

import gguf
import numpy as np

OUT = Path(__file__).parent / "data" / "gguf-writer.gguf"


def numbers(count):
    i = np.arange(max(count, 96), dtype=np.int64)
    x = ((i * 7919) % 2003 - 1001).astype(np.float32) / np.float32(512)
    x[32:64] = 0  # a block of zeros
    x[64:96] = np.arange(-16, 16) / np.float32(2)  # codes of half a unit
    x[64] = 127
    return x[:count]


writer = gguf.GGUFWriter(OUT, "llama")
writer.add_name("naïve 漢字")
writer.add_uint32("llama.block_count", 3)
writer.add_float32("llama.attention.layer_norm_rms_epsilon", 1e-5)
writer.add_bool("tokenizer.ggml.add_bos_token", False)
writer.add_token_list(["a", "Ġthe", "", "🙂"])
writer.add_token_types([1, 3, -4, 5])
writer.add_tensor("token_embd.weight", numbers(5 * 96).reshape(5, 96))
writer.add_tensor("norm.weight", numbers(7))
writer.add_tensor("half.weight", numbers(3 * 65).reshape(3, 65).astype(np.float16))
q8_0 = gguf.GGMLQuantizationType.Q8_0
experts = numbers(2 * 3 * 64).reshape(2, 3, 64)
writer.add_tensor("blk.0.ffn_up_exps.weight", gguf.quants.quantize(experts, q8_0), raw_dtype=q8_0)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
