#!/usr/bin/env python3
"""Durations and their quantiles by numpy -> quantile_cases.inc.

    python3 tests/unit/worker/make_quantiles.py      needs numpy
"""
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
SHARES = (0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0)


def main():
    rng = np.random.default_rng(7)
    sets = {
        "spread": np.exp(rng.uniform(np.log(300), np.log(9e9), 600)),
        "narrow": rng.normal(150000, 20000, 300),
        "two humps": np.concatenate([rng.uniform(2000, 3000, 200), rng.uniform(1e6, 9e6, 50)]),
        "equal": np.full(10, 5000.0),
        "one": np.array([123456789.0]),
    }
    with open(os.path.join(HERE, "quantile_cases.inc"), "w") as file:
        file.write(f"/* Made by make_quantiles.py with numpy {np.__version__}: durations in nanoseconds, then their "
                   f"quantiles (inverted_cdf). */\n")
        for name, values in sets.items():
            values = np.maximum(np.round(values), 1).astype(np.int64)
            quantiles = np.quantile(values, SHARES, method="inverted_cdf")
            durations = ", ".join(str(v) for v in values)
            answers = ", ".join(str(int(q)) for q in quantiles)
            file.write(f"{{\"{name}\", {len(values)}, (const uint64_t[]){{{durations}}}, {{{answers}}}}},\n")


if __name__ == "__main__":
    main()
