"""Shortest floats have numpy's digits: random bits, scores, short decimals, the ends of every binade.

Usage: check_floats.py ORACLE_PUBLISH SCHEMAS
"""
import subprocess
import sys
from decimal import Decimal

import numpy as np


def samples():
    rng = np.random.default_rng(5)
    yield rng.integers(0, 2**32, 60000, dtype=np.uint32)
    yield rng.random(60000, dtype=np.float32).view(np.uint32)
    yield (rng.integers(0, 10**7, 30000) / 10.0 ** rng.integers(0, 9, 30000)).astype(np.float32).view(np.uint32)
    yield np.arange(0, 2000, dtype=np.uint32)
    for step in (-1, 0, 1):
        yield (np.arange(1, 255, dtype=np.uint32) << 23) + np.uint32(step % 2**32)


bits = np.concatenate(list(samples()))
values = bits.view(np.float32)
bits, values = bits[np.isfinite(values)], values[np.isfinite(values)]
answer = subprocess.run(sys.argv[1], input="".join(f"F {b:x}\n" for b in bits), capture_output=True, text=True, check=True)
texts = answer.stdout.splitlines()
assert len(texts) == len(values), (len(texts), len(values))
for text, value in zip(texts, values):
    digits = np.format_float_scientific(value, unique=True, trim="-")
    assert Decimal(text) == Decimal(digits), (text, digits)
    assert len(text.strip("-").replace(".", "").lstrip("0").split("e")[0].rstrip("0")) == len(
        digits.strip("-").replace(".", "").lstrip("0").split("e")[0].rstrip("0")), (text, digits)
print(f"{len(values)} floats have numpy's digits")
