"""The logits of `transformers` at every position of texts of token ids, and how its tokenizer divides a text: what exported directories are checked by.

    python transformers_logits.py TEXT.txt < LINES

A line is a JSON list, a directory and the ids to run. For each a line of JSON: `{"ids": ..., "logits": ...}`, the ids of the text and the logits of each
position, or `{"error": ...}`. Everything is computed in float32, whatever is stored. One process for all, because loading the libraries takes longest.
"""
import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

text = open(sys.argv[1], newline="").read()


def run(directory, ids):
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model, info = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    problems = {name: list(keys) for name, keys in info.items() if keys}
    if problems:
        return {"error": f"loaded with {problems}"}
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0]
    return {"ids": tokenizer(text).input_ids, "logits": logits.tolist()}


for line in sys.stdin:
    directory, ids = json.loads(line)
    try:
        result = run(directory, ids)
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(result), flush=True)
