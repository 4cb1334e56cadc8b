"""Makes data/gguf-types.gguf and .safetensors: `python test/golden/make-gguf-types.py` (a second; gguf, numpy, safetensors).

A GGUF file written by the package `gguf`, llama.cpp's own, with metadata of every type and a tensor of every element type that is read here, and what
the same package makes of the tensors in float32. Half the rows of a tensor are random bits, so that every code, scale and bit pattern occurs, and
half, where the package can quantise, are normal numbers quantised by it. Scales are finite: random bits would be infinities and NaN.
"""
from pathlib import Path

import numpy as np
from gguf import GGUFValueType, GGUFWriter
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType as Type
from gguf.quants import dequantize, quantize
from safetensors.numpy import save_file

OUT = Path(__file__).parent / "data"
ROWS, WIDTH = 4, 512
# Where in a block the f16 numbers lie.
HALVES = {
    Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0], Type.IQ4_NL: [0],
    Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208], Type.TQ1_0: [52], Type.TQ2_0: [64],
    Type.F16: [0],
}
TYPES = [Type.F32, Type.BF16, *HALVES]

rng = np.random.default_rng(7)


def random_blocks(kind):
    elements, size = GGML_QUANT_SIZES[kind]
    if kind in (Type.F32, Type.BF16):
        return rng.normal(size=(ROWS // 2, WIDTH)).astype(np.float32).view(np.uint8).reshape(ROWS // 2, WIDTH, 4)[:, :, 4 - size:].reshape(ROWS // 2, -1)
    blocks = rng.integers(0, 256, size=(ROWS // 2 * WIDTH // elements, size), dtype=np.uint8)
    for at in HALVES[kind]:
        # Magnitudes from the subnormal numbers of f16 to the thousands, of both signs.
        values = rng.choice([-1, 1], len(blocks)) * 2.0 ** rng.uniform(-24, 12, len(blocks))
        blocks[:, at : at + 2] = values.astype(np.float16).view(np.uint8).reshape(-1, 2)
    return blocks.reshape(ROWS // 2, -1)


def stored(kind):
    """Bytes [ROWS, bytes of a row]."""
    drawn = random_blocks(kind)
    numbers = rng.normal(size=(ROWS // 2, WIDTH)).astype(np.float32)
    try:
        made = quantize(numbers, kind).view(np.uint8).reshape(ROWS // 2, -1)
    except NotImplementedError:
        made = random_blocks(kind)
    return np.concatenate([drawn, made])


writer = GGUFWriter(OUT / "gguf-types.gguf", "llama")
writer.add_uint8("test.uint8", 255)
writer.add_int8("test.int8", -128)
writer.add_uint16("test.uint16", 65535)
writer.add_int16("test.int16", -32768)
writer.add_uint32("test.uint32", 4294967295)
writer.add_int32("test.int32", -2147483648)
writer.add_float32("test.float32", 1e-5)
writer.add_bool("test.true", True)
writer.add_bool("test.false", False)
writer.add_string("test.string", "Grüße, 世界 🙂\n")
writer.add_uint64("test.uint64", 2**64 - 1)
writer.add_int64("test.int64", -(2**53))
writer.add_float64("test.float64", 1e-300)
writer.add_array("test.strings", ["", "a", "Ġthe"])
writer.add_array("test.integers", [-1, 0, 7])
writer.add_array("test.floats", [0.5, -2.0])
writer.add_array("test.bools", [True, False])
writer.add_array("test.nested", [[1, 2], [3]])
writer.add_custom_alignment(64)

expected = {}
for kind in TYPES:
    data = stored(kind)
    writer.add_tensor(kind.name, data, raw_dtype=kind)
    expected[kind.name] = np.ascontiguousarray(dequantize(data, kind)).astype(np.float32)
    assert np.isfinite(expected[kind.name]).all(), kind
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
save_file(expected, OUT / "gguf-types.safetensors")
