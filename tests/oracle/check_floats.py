"""Shortest numbers: floats have numpy's digits, doubles Python's text; random bits, scores, short decimals, every binade.

Usage: check_floats.py ORACLE_PUBLISH SCHEMAS
"""
import subprocess
import sys
from decimal import Decimal

import numpy as np


def float_samples():
    rng = np.random.default_rng(5)
    yield rng.integers(0, 2**32, 60000, dtype=np.uint32)
    yield rng.random(60000, dtype=np.float32).view(np.uint32)
    yield (rng.integers(0, 10**7, 30000) / 10.0 ** rng.integers(0, 9, 30000)).astype(np.float32).view(np.uint32)
    yield np.arange(0, 2000, dtype=np.uint32)
    for step in (-1, 0, 1):
        yield (np.arange(1, 255, dtype=np.uint32) << 23) + np.uint32(step % 2**32)


def double_samples():
    rng = np.random.default_rng(6)
    yield rng.integers(0, 2**64, 30000, dtype=np.uint64)
    yield rng.random(30000).view(np.uint64)
    yield (rng.integers(0, 10**12, 30000) / 10.0 ** rng.integers(0, 12, 30000)).view(np.uint64)
    yield np.arange(0, 1000, dtype=np.uint64)
    yield rng.integers(0, 2**52, 3000, dtype=np.uint64)  # subnormals
    for step in (-1, 0, 1):
        yield (np.arange(1, 2047, dtype=np.uint64) << np.uint64(52)) + np.uint64(step % 2**64)


def ask(command, samples, dtype):
    """Finite values and the texts that we write for them."""
    bits = np.concatenate(list(samples))
    values = bits.view(dtype)
    bits, values = bits[np.isfinite(values)], values[np.isfinite(values)]
    lines = "".join(f"{command} {b:x}\n" for b in bits)
    answer = subprocess.run(sys.argv[1], input=lines, capture_output=True, text=True, check=True)
    texts = answer.stdout.splitlines()
    assert len(texts) == len(values), (len(texts), len(values))
    return values, texts


def digit_count(text):
    return len(text.strip("-").replace(".", "").lstrip("0").split("e")[0].rstrip("0"))


values, texts = ask("F", float_samples(), np.float32)
for text, value in zip(texts, values):
    digits = np.format_float_scientific(value, unique=True, trim="-")
    assert Decimal(text) == Decimal(digits), (text, digits)
    assert digit_count(text) == digit_count(digits), (text, digits)
print(f"{len(values)} floats have numpy's digits")

values, texts = ask("G", double_samples(), np.float64)
for text, value in zip(texts, values.tolist()):
    assert text == repr(value).removesuffix(".0"), (text, value)
print(f"{len(values)} doubles have Python's text")
