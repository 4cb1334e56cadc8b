"""Makes data/gguf-models/: `python test/golden/make-gguf-models.py LLAMA_CPP` (half a minute; torch, transformers).

One tiny model with random weights for each architecture, made by `transformers`, converted by llama.cpp's own convert_hf_to_gguf.py (whose folder is the
argument), and the logits of every position as transformers computes them in float64: NAME.gguf and NAME.safetensors (`input_ids`, `logits`).
The weights are exact in float16, the type of the matrices in the file. The vocabulary is written here, because the converter knows published ones only.
"""
import os
import sys
import tempfile
from pathlib import Path

os.environ["TORCHDYNAMO_DISABLE"] = "1"
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]) / "gguf-py")]

import gguf
import torch
import transformers
from conversion import get_model_class
from safetensors.torch import save_file

OUT = Path(__file__).parent / "data" / "gguf-models"
VOCAB, LENGTH = 40, 12
SHAPE = dict(vocab_size=VOCAB, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=64, bos_token_id=1, eos_token_id=2)
# theta so large that all three ranges of frequencies occur.
LLAMA3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8192)
LINEAR = dict(rope_type="linear", rope_theta=10000.0, factor=4.0)
MIXTURE = dict(num_hidden_layers=1, num_experts_per_tok=2)

MODELS = {
    "llama": ("Llama", dict(tie_word_embeddings=False)),
    "llama3": ("Llama", dict(rope_parameters=LLAMA3, head_dim=16, tie_word_embeddings=True)),
    "llama-linear": ("Llama", dict(rope_parameters=LINEAR, attention_bias=False, tie_word_embeddings=True)),
    "qwen2": ("Qwen2", dict(tie_word_embeddings=True)),
    "qwen3": ("Qwen3", dict(head_dim=8, tie_word_embeddings=True)),
    "mixtral": ("Mixtral", dict(num_local_experts=4, **MIXTURE)),
    "qwen3moe": ("Qwen3Moe", dict(num_experts=4, moe_intermediate_size=16, norm_topk_prob=True, head_dim=8, **MIXTURE)),
}


def set_vocab(self):
    tokens = ["<unk>", "<s>", "</s>", "a", "b", "ab"]
    tokens += [f"[{i}]" for i in range(len(tokens), VOCAB)]
    self.gguf_writer.add_tokenizer_model("gpt2")
    self.gguf_writer.add_tokenizer_pre("default")
    self.gguf_writer.add_token_list(tokens)
    self.gguf_writer.add_token_types([3] * 3 + [1] * (VOCAB - 3))
    self.gguf_writer.add_token_merges(["a b"])
    self.gguf_writer.add_bos_token_id(1)
    self.gguf_writer.add_eos_token_id(2)


def make(name, architecture, fields):
    config = getattr(transformers, f"{architecture}Config")(**dict(SHAPE, **fields))
    torch.manual_seed(len(name))
    model = getattr(transformers, f"{architecture}ForCausalLM")._from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter, value in model.named_parameters():  # fresh ones are too small, their norms 1 and their biases 0
            value.normal_(1.0 if "norm" in parameter else 0.0, 0.3)
            value.copy_(value.half())
    ids = torch.randint(0, VOCAB, (1, LENGTH), generator=torch.Generator().manual_seed(1))
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        model.save_pretrained(folder)
        converter = get_model_class(f"{architecture}ForCausalLM")
        converter.set_vocab = set_vocab
        converter(Path(folder), gguf.LlamaFileType.MOSTLY_F16, OUT / f"{name}.gguf", model_name=name).write()
        if "num_experts_per_tok" in fields:
            model.set_experts_implementation("eager")  # the other one has no float64
        logits = model.double()(ids, attention_mask=torch.ones_like(ids), use_cache=False).logits[0]
    save_file(dict(input_ids=ids.to(torch.int32), logits=logits.float()), OUT / f"{name}.safetensors")


OUT.mkdir(exist_ok=True)
for name, (architecture, fields) in MODELS.items():
    make(name, architecture, fields)
