"""The logits of `transformers` at every position of a text of token ids, and how its tokenizer divides a text: what an exported directory is checked by.

    python transformers_logits.py DIRECTORY TEXT.txt 1 2 3

Prints the ids of the text in one line, then the logits of each position in one line. Everything is computed in float32, whatever is stored.
"""
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

directory, text_path, *ids = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(directory)
print(*tokenizer(open(text_path, newline="").read()).input_ids)

model, info = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
problems = {name: keys for name, keys in info.items() if keys}
if problems:
    sys.exit(f"loaded with {problems}")
with torch.no_grad():
    logits = model(torch.tensor([[int(i) for i in ids]])).logits[0]
for row in logits.tolist():
    print(*row)
