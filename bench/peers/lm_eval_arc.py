"""ARC-Easy by lm-evaluation-harness with PyTorch in float32: seconds for the first N items, as one JSON object.

Needs lm_eval, torch and transformers. MODEL is a directory that transformers loads; DATA a JSONL file with query, choices and gold on each line. The harness is as it comes, its
requests in batches; the clock runs around `simple_evaluate`, so that neither the model's loading nor the import of libraries counts.

usage: python lm_eval_arc.py MODEL DATA [--limit 200] [--batch 16] [--threads 2]
"""
import argparse
import json
import os
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import lm_eval  # noqa: E402
import torch  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

TASK = """task: local_arc_easy
dataset_path: json
dataset_kwargs:
  data_files:
    validation: {data}
validation_split: validation
output_type: multiple_choice
num_fewshot: 0
doc_to_text: "{{{{query}}}}\\nAnswer:"
doc_to_choice: choices
doc_to_target: gold
metric_list:
  - metric: acc
  - metric: acc_norm
"""


def main():
    a = argparse.ArgumentParser()
    a.add_argument("model", type=Path)
    a.add_argument("data", type=Path)
    a.add_argument("--limit", type=int, default=200)
    a.add_argument("--batch", type=int, default=16)
    a.add_argument("--threads", type=int, default=2)
    args = a.parse_args()
    torch.set_num_threads(args.threads)
    lm = HFLM(pretrained=str(args.model), dtype="float32", device="cpu", batch_size=args.batch)
    with tempfile.TemporaryDirectory() as folder:
        lines = args.data.read_text(encoding="utf-8").splitlines()[: args.limit]
        docs = Path(folder) / "docs.jsonl"
        docs.write_text("\n".join(lines) + "\n", encoding="utf-8")
        (Path(folder) / "local_arc_easy.yaml").write_text(TASK.format(data=docs))
        tasks = TaskManager(include_path=folder, include_defaults=False)
        begin = time.perf_counter()
        results = lm_eval.simple_evaluate(model=lm, tasks=["local_arc_easy"], task_manager=tasks, bootstrap_iters=0)
        seconds = time.perf_counter() - begin
    scores = results["results"]["local_arc_easy"]
    print(json.dumps(dict(items=len(lines), seconds=seconds, batch=args.batch, acc=scores["acc,none"], accNorm=scores["acc_norm,none"],
                          versions={p: version(p) for p in ("lm_eval", "torch", "transformers")})))


main()
