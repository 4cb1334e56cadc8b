"""Writes small Parquet files as the Hub serves data sets, one for each compression, with the same rows; needs pyarrow.

usage: python test/golden/make-parquet.py
"""
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROWS = [
    dict(id="q1", question="What shines?", choices=dict(text=["sun", "möon"], label=["A", "B"]), answerKey="A", label=1, share=0.5, note=None),
    dict(id="q2", question='Say "hi",\nplease', choices=dict(text=["😀", ""], label=["1", "2"]), answerKey="2", label=0, share=-2.0, note="x"),
]

folder = Path(__file__).parent / "data" / "parquet"
folder.mkdir(parents=True, exist_ok=True)
for compression in ("none", "snappy", "zstd", "gzip", "brotli"):
    pq.write_table(pa.Table.from_pylist(ROWS), folder / f"rows-{compression}.parquet", compression=compression)
