"""What the parity tests share: random data and adversarial rows, running lepton, and comparing with a library."""
import os
import subprocess
import sys
import tempfile

import numpy as np

LEPTON, ROWS = os.environ["LEPTON"], os.environ["LEPTON_ROWS"]
FOLDER = tempfile.TemporaryDirectory(prefix="lepton-trees-")
ROW_COUNT = 5000
MARGIN_RTOL = 1e-6


def path(name):
    return os.path.join(FOLDER.name, name)


def make_data(rng, count, columns, categories, missing):
    """Rows as a team has them: measures of several scales, counts, flags; columns in `categories` are small codes."""
    x = np.empty((count, columns))
    for c in range(columns):
        kind = rng.integers(5)
        if c in categories:
            x[:, c] = rng.integers(0, categories[c], count)
        elif kind == 0:
            x[:, c] = rng.normal(0, 10.0 ** rng.integers(-3, 4), count)
        elif kind == 1:
            x[:, c] = rng.integers(0, 20, count)
        elif kind == 2:
            x[:, c] = rng.integers(0, 2, count)
        elif kind == 3:
            x[:, c] = np.round(rng.exponential(3, count), 2) * rng.choice([-1, 1], count)
        else:
            x[:, c] = rng.normal(0, 1, count) * 1e-30
    x[rng.random(x.shape) < missing] = np.nan
    return x


def signal(rng, x):
    """A target that trees have something to learn from."""
    filled = np.nan_to_num(x, nan=-1.5)
    scale = np.abs(filled).max(axis=0) + 1e-300
    return np.tanh(filled / scale * 3) @ rng.normal(0, 1, x.shape[1]) + rng.normal(0, 0.1, len(x)) + \
        np.isnan(x).sum(axis=1) * 0.3


def hostile_rows(rng, x, thresholds, categories, count=ROW_COUNT):
    """Rows of the data, in which most values are replaced by what decides at edges."""
    rows = x[rng.integers(0, len(x), count)].copy()
    for c in range(x.shape[1]):
        edges = thresholds.get(c)
        special = [np.nan, np.inf, -np.inf, -0.0, 0.0, 5e-324, -5e-324, 1e-40, -1e-40, 1e-35, -1e-35,
                   float(np.float32(1e-35)), -float(np.float32(1e-35)), 1e-300, 1e300, -1e300, 3.4028234663852886e38,
                   -3.4028234663852886e38, 16777216.0, 16777217.0, 2147483648.0, -2147483649.0, 1e18]
        if c in categories:
            n = categories[c]
            special += [-1, -0.5, -0.999, -1.0000001, 0.5, n - 1, n, n + 1, n - 0.5, 31, 32, 33, 63, 64, 1e6]
        pool = [np.array(special)]
        if edges is not None and len(edges):
            t = rng.choice(edges, min(len(edges), 200))
            single = t.astype(np.float32)
            pool += [t, t, np.nextafter(t, np.inf), np.nextafter(t, -np.inf), -t,
                     np.nextafter(single, np.float32(np.inf)).astype(float),
                     np.nextafter(single, np.float32(-np.inf)).astype(float),
                     (single.astype(float) + np.nextafter(single, np.float32(np.inf)).astype(float)) / 2]
        values = np.concatenate([rng.choice(p, count) for p in pool]).reshape(len(pool), count)
        chosen = values[rng.integers(0, len(pool), count), np.arange(count)]
        rate = rng.choice([0.1, 0.5])
        use = rng.random(count) < rate
        use[:count // 10] = False  # some rows as they were
        rows[use, c] = chosen[use]
    return rows


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode != 0:
        raise AssertionError(" ".join(command[:3]) + ": " + done.stderr.strip())
    return done


def refusal(model):
    """What lepton says of a model that it must not import."""
    done = subprocess.run([LEPTON, "import", model, "-o", path("no")], capture_output=True, text=True, check=False)
    assert done.returncode == 1, model
    return done.stderr


def lepton(model, rows, outputs, tree_count, *options):
    """margins, scores, leaves (None for a linear model) of lepton for a model file."""
    run(LEPTON, "import", model, "-o", path("b.safetensors"), *options)
    np.ascontiguousarray(rows, dtype=np.float64).tofile(path("rows"))
    names = [path("b.safetensors"), path("rows"), path("margins"), path("scores")]
    run(ROWS, *names, *([path("leaves")] if tree_count else []))
    floats = [np.fromfile(p, dtype=np.float32).reshape(len(rows), outputs) for p in names[2:]]
    leaves = np.fromfile(path("leaves"), dtype=np.uint32).reshape(len(rows), tree_count) if tree_count else None
    return floats[0], floats[1], leaves


def preorder(left, right, root, is_leaf):
    """{node: its number in preorder, left first} of one tree."""
    numbers, stack = {}, [root]
    while stack:
        node = stack.pop()
        numbers[node] = len(numbers)
        if not is_leaf(node):
            stack += [right(node), left(node)]
    return numbers


def compare(what, got, want, tolerance, rows):
    """None, or what the first difference is."""
    got, want = got.astype(np.float64), np.asarray(want, dtype=np.float64).reshape(got.shape)
    with np.errstate(invalid="ignore"):
        bad = ~((got == want) | (np.abs(got - want) <= tolerance) | (np.isnan(got) & np.isnan(want)))
    if not bad.any():
        return None
    r, o = np.argwhere(bad)[0]
    return "%s: %d of %d differ: row %d output %d is %.9g, the library says %.9g; row %s" % (
        what, bad.sum(), bad.size, r, o, got[r, o], want[r, o], rows[r].tolist())


def compare_leaves(got, want):
    bad = got != want
    if not bad.any():
        return None
    r, t = np.argwhere(bad)[0]
    return "leaves: %d of %d differ: row %d tree %d" % (bad.sum(), bad.size, r, t)


def report(failures, count, seconds):
    for failure in failures:
        print(failure, file=sys.stderr)
    print("%d models, %d with differences, %.1f s" % (count, len(failures), seconds))
    sys.exit(1 if failures else 0)
