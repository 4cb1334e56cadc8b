"""Makes the goldens of distillation with PyTorch: `python test/golden/make-distillation-goldens.py` (seconds; torch, safetensors).

A sparse student learns from a frozen dense teacher: (1 - w) cross-entropy + w T^2 KL(teacher || student) over the tokens that count, both softmaxes of
logits / T (arXiv 1503.02531). The student is the model of make-goldens.py with its weights; the teacher is the same model run dense, every matrix times
TEACHER_SCALE, so that no file of its own is needed and no gradient may flow into it unnoticed. In float64, on tokens without a close selection.

Written: data/distill-VARIANT.safetensors (tokens, targets with -1 where none counts, grad.NAME), data/distillation.json.
"""
import importlib.util
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

spec = importlib.util.spec_from_file_location("goldens", Path(__file__).parent / "make-goldens.py")
goldens = importlib.util.module_from_spec(spec)
spec.loader.exec_module(goldens)

TEACHER_SCALE = 2  # exact in float32
VARIANTS = {
    "silu": dict(config=goldens.variant("silu", 0.4, 0.4, 0.4, 0.6), weight=0.5, temperature=1.0, ignored=0),
    "relu2-warm": dict(config=goldens.variant("relu2", 0.5, 0.5, 0.5, 0), weight=1.0, temperature=2.0, ignored=7),
}
DENSE = dict(qkv=0, o=0, gateUp=0, down=0)


def taught(logits, teacher, targets, weight, temperature):
    counts = targets.flatten() != -1
    student, teacher = (F.log_softmax(x.flatten(0, 1)[counts] / temperature, -1) for x in (logits, teacher))
    divergence = (teacher.exp() * (teacher - student)).sum(-1).mean() * temperature**2
    loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1)
    return loss, divergence, (1 - weight) * loss + weight * divergence


def make_variant(name, variant, weights):
    config, weight, temperature, ignored = (variant[key] for key in ("config", "weight", "temperature", "ignored"))
    scaled = {n: w * TEACHER_SCALE if w.dim() == 2 else w for n, w in weights.items()}
    for seed in range(1000):
        g = torch.Generator().manual_seed(seed)
        tokens = torch.randint(0, config["vocabSize"], (goldens.BATCH, goldens.SEQ_LEN + 1), generator=g)
        ids, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
        targets.view(-1)[torch.randperm(targets.numel(), generator=g)[:ignored]] = -1
        model = goldens.Model(config, weights, torch.float64)
        logits, _ = model.forward(ids)
        if model.margin >= goldens.MARGIN:
            break
    else:
        raise RuntimeError(f"no tokens without a close call for {name}")
    with torch.no_grad():
        teacher, _ = goldens.Model(dict(config, sparsity=DENSE), scaled, torch.float64).forward(ids)
    loss, divergence, total = taught(logits, teacher, targets, weight, temperature)
    total.backward()
    arrays = {"input_ids": ids.int(), "target_ids": targets.int()}
    arrays |= {f"grad.{n}": w.grad.float().contiguous() for n, w in model.p.items()}
    save_file(arrays, goldens.OUT / f"distill-{name}.safetensors")
    print(f"{name}: seed {seed}, loss {loss.item():.6f}, divergence {divergence.item():.6f}, margin {model.margin:.1e}")
    return dict(config=config, weight=weight, temperature=temperature, loss=loss.item(), divergence=divergence.item())


def main():
    weights = {n: w for n, w in goldens.make_weights(2024).items() if n != "lm_head.weight"}
    variants = {name: make_variant(name, variant, weights) for name, variant in VARIANTS.items()}
    shape = dict(torch=torch.__version__, batch=goldens.BATCH, seqLen=goldens.SEQ_LEN, teacherScale=TEACHER_SCALE)
    (goldens.OUT / "distillation.json").write_text(json.dumps(dict(shape, variants=variants), indent=1) + "\n")


if __name__ == "__main__":
    main()
