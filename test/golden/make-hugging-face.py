"""Makes test/golden/data/hugging-face/ with `transformers`: `python test/golden/make-hugging-face.py` (half a minute; torch, transformers).

One folder a model: a tiny one with random weights as `save_pretrained` writes it (config.json, one or several safetensors), a tokenizer.json, and
`golden.safetensors`: tokens and the logits of every position, computed by transformers in float64 from the numbers that the file holds and
stored as float32. For some models the loss, as `loss`, and every gradient, as `grad.NAME`, are there too.

BitNet's linear layers are those of transformers' own integration, put in by hand, because its loader wants `accelerate`; their
files hold what the published checkpoint holds: four 2-bit codes in a byte, and `weight_scale`. They compute in float32. Rounding is discontinuous: tokens are
searched for which no activation is nearer than MARGIN codes to a border, where BitNet's two epsilons could decide.
"""
import json
import os
import shutil
from pathlib import Path

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.integrations import bitnet

OUT = Path(__file__).parent / "data" / "hugging-face"
VOCAB, LENGTH = 40, 12
MARGIN = 1.5e-3
SHAPE = dict(vocab_size=VOCAB, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
             max_position_embeddings=64, bos_token_id=1, eos_token_id=2)
LLAMA3 = dict(rope_type="llama3", rope_theta=10000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
EXPERTS = dict(num_experts_per_tok=2)

MODELS = {
    "llama2": ("Llama", dict(num_key_value_heads=4, tie_word_embeddings=False), torch.float32, {}),
    "llama3": ("Llama", dict(rope_parameters=LLAMA3, rms_norm_eps=1e-5), torch.bfloat16, dict(gradients=True)),
    "llama-linear": ("Llama", dict(rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0)), torch.float16, dict(old=True)),
    "smollm2": ("Llama", dict(num_attention_heads=3, num_key_value_heads=1, head_dim=8, tie_word_embeddings=True), torch.bfloat16, {}),
    "mistral": ("Mistral", dict(sliding_window=5, head_dim=8), torch.float32, {}),
    "qwen2": ("Qwen2", dict(), torch.float32, dict(gradients=True)),
    "qwen2.5": ("Qwen2", dict(tie_word_embeddings=True, rope_parameters=dict(rope_type="default", rope_theta=1e6)), torch.bfloat16, dict(old=True)),
    "qwen3": ("Qwen3", dict(head_dim=8, tie_word_embeddings=True), torch.float32, dict(gradients=True, shard="16KB")),
    "mixtral": ("Mixtral", dict(num_local_experts=4, **EXPERTS), torch.bfloat16, {}),
    "qwen3-moe": ("Qwen3Moe", dict(num_experts=4, moe_intermediate_size=16, norm_topk_prob=True, head_dim=8, **EXPERTS), torch.float32, {}),
}
BITNETS = {
    "bitnet": dict(linear_class="autobitlinear", quantization_mode="offline"),
    "bitnet-bitlinear": dict(linear_class="bitlinear", quantization_mode="offline"),
    "bitnet-online": dict(linear_class="autobitlinear", quantization_mode="online"),
}


def build(architecture, fields, seed, dtype=torch.float32):
    config = getattr(transformers, f"{architecture}Config")(**dict(SHAPE, **fields))
    torch.manual_seed(seed)
    model = getattr(transformers, f"{architecture}ForCausalLM")(config).to(dtype)
    with torch.no_grad():
        for name, value in model.named_parameters():  # fresh ones are too small, their norms 1 and their biases 0
            value.normal_(1.0 if "norm" in name else 0.0, 0.3)
    return model.eval()


def evaluate(model, ids):
    with torch.no_grad():
        return model(ids, attention_mask=torch.ones_like(ids), use_cache=False).logits


def write_golden(folder, **arrays):
    save_file({name: value.detach().contiguous() for name, value in arrays.items()}, folder / "golden.safetensors")


def write_tokenizer(folder):
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2, **{chr(ord("a") + i): i + 3 for i in range(26)}, **{str(i): i + 29 for i in range(VOCAB - 29)}}
    special = [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True) for t, i in list(vocab.items())[:3]]
    model = dict(type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None, end_of_word_suffix=None, fuse_unk=False,
                 byte_fallback=False, ignore_merges=False, vocab=vocab, merges=[])
    tokenizer = dict(version="1.0", truncation=None, padding=None, added_tokens=special, normalizer=None, pre_tokenizer=None, post_processor=None,
                     decoder=None, model=model)
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(dict(bos_token="<s>", eos_token="</s>", add_bos_token=True)))


def old_config(folder):
    """The words of transformers 4, which most published checkpoints have."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    kind = rope.pop("rope_type")
    config["rope_scaling"] = None if kind == "default" else dict(type=kind, **rope)
    config["torch_dtype"] = config.pop("dtype")
    path.write_text(json.dumps(config, indent=2))


def make(name, architecture, fields, dtype, gradients=False, shard="1GB", old=False):
    folder = OUT / name
    folder.mkdir(parents=True)
    model = build(architecture, fields, seed=len(name), dtype=dtype)
    model.save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink(missing_ok=True)
    model = type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **({"experts_implementation": "eager"} if "num_experts_per_tok" in fields else {})).double().eval()
    if old:
        old_config(folder)
    write_tokenizer(folder)
    ids = torch.randint(0, VOCAB, (1, LENGTH), generator=torch.Generator().manual_seed(1))
    arrays = dict(input_ids=ids.to(torch.int32), logits=evaluate(model, ids)[0].float())
    if gradients:
        targets = torch.randint(0, VOCAB, (LENGTH,), generator=torch.Generator().manual_seed(2))
        loss = torch.nn.functional.cross_entropy(model(ids).logits[0], targets)
        loss.backward()
        arrays |= dict(target_ids=targets.to(torch.int32), loss=loss.float().reshape(1))
        arrays |= {f"grad.{name}": value.grad.float() for name, value in model.named_parameters()}
    write_golden(folder, **arrays)


class Borders:
    """How near the input of any rounding layer comes to the border between two codes."""

    def __init__(self, model):
        self.least = 0.5
        for module in model.modules():
            if isinstance(module, (bitnet.BitLinear, bitnet.AutoBitLinear)):
                module.register_forward_pre_hook(lambda _, inputs: self.see(inputs[0]))

    def see(self, x):
        codes = (x * 127 / x.abs().amax(-1, keepdim=True)).abs()
        self.least = min(self.least, (codes - codes.floor() - 0.5).abs().min().item())


def make_bitnet(name, quantization):
    folder = OUT / name
    folder.mkdir(parents=True)
    model = build("BitNet", dict(tie_word_embeddings=True), seed=3)
    latent = {n: w.clone() for n, w in model.state_dict().items()}
    config = transformers.BitNetQuantConfig(modules_to_not_convert=["lm_head"], **quantization)
    bitnet.replace_with_bitnet_linear(model, ["lm_head"], config)
    online = quantization["quantization_mode"] == "online"
    stored = {}
    for module_name, module in model.named_modules():
        if not isinstance(module, (bitnet.BitLinear, bitnet.AutoBitLinear)):
            continue
        weight = latent[f"{module_name}.weight"]
        codes = (weight / weight.abs().mean()).round().clamp(-1, 1)
        scale = weight.abs().mean().reshape(1)
        inverse = isinstance(module, bitnet.BitLinear)
        with torch.no_grad():
            if online:
                module.weight = torch.nn.Parameter(weight)
                stored[f"{module_name}.weight"] = weight
                continue
            packed = bitnet.pack_weights(codes.clone())
            scale = (1 / scale if inverse else scale).to(torch.bfloat16).float()
            stored |= {f"{module_name}.weight": packed, f"{module_name}.weight_scale": scale.to(torch.bfloat16)}
            module.weight_scale = torch.nn.Buffer(scale)
            if inverse:
                module.dtype = torch.float32
                module.weight = torch.nn.Buffer(packed)
            else:
                module.weight = torch.nn.Parameter(codes)
    projections = {n.rsplit(".", 1)[0] for n in stored}
    stored |= {n: w for n, w in latent.items() if n.rsplit(".", 1)[0] not in projections and n != "lm_head.weight"}
    save_file({n: w.contiguous() for n, w in stored.items()}, folder / "model.safetensors", metadata=dict(format="pt"))
    fields = dict(model.config.to_dict(), architectures=["BitNetForCausalLM"], dtype="bfloat16")
    fields["quantization_config"] = dict(quant_method="bitnet", modules_to_not_convert=None, **quantization)
    (folder / "config.json").write_text(json.dumps({k: v for k, v in fields.items() if not k.startswith("_")}, indent=2))
    write_tokenizer(folder)
    borders = Borders(model)
    for seed in range(10_000):
        borders.least = 0.5
        ids = torch.randint(0, VOCAB, (1, LENGTH // 2), generator=torch.Generator().manual_seed(seed))
        logits = evaluate(model, ids)[0]
        if borders.least > MARGIN:
            break
    else:
        raise SystemExit(f"{name}: no tokens keep their distance")
    write_golden(folder, input_ids=ids.to(torch.int32), logits=logits)


if __name__ == "__main__":
    shutil.rmtree(OUT, ignore_errors=True)
    for name, (architecture, fields, dtype, more) in MODELS.items():
        make(name, architecture, fields, dtype, **more)
    for name, quantization in BITNETS.items():
        make_bitnet(name, quantization)
    for folder in sorted(OUT.iterdir()):
        logits = load_file(folder / "golden.safetensors")["logits"]
        print(f"{folder.name}: {sum(f.stat().st_size for f in folder.iterdir())} bytes, largest logit {logits.abs().max():.2f}")
