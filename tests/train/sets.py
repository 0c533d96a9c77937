"""The data sets of tests/data/train, and how the tests split them."""

import csv
import gzip
import io
import os

import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "train")
SEEDS = range(5)
SHARE = 0.25  # of the rows are held out
# file, label, measure, whether more of it is better
SETS = {
    "breast_cancer": ("breast_cancer.csv", "target", "accuracy", True),
    "digits": ("digits.csv.gz", "target", "accuracy", True),
    "wine": ("wine.csv", "target", "accuracy", True),
    "diabetes": ("diabetes.csv", "target", "rmse", False),
    "open_bandit": ("obd_random_men.csv.gz", "click", "log_loss", False),
}
# Of Open Bandit: what is known before the click, without the 34 affinities, nearly all zero.
BANDIT_COLUMNS = ["position", "user_feature_0", "user_feature_1", "user_feature_2", "user_feature_3", "item_id", "click"]


def read(name):
    """(header, rows of texts)"""
    path = os.path.join(FOLDER, SETS[name][0])
    with (gzip.open(path, "rt") if path.endswith(".gz") else open(path)) as file:
        rows = list(csv.reader(file))
    header, rows = rows[0], rows[1:]
    if name == "open_bandit":
        keep = [header.index(c) for c in BANDIT_COLUMNS]
        header, rows = BANDIT_COLUMNS, [[row[k] for k in keep] for row in rows]
    return header, rows


def shuffled(name, seed):
    """(header, rows, how many at the end are held out)"""
    header, rows = read(name)
    order = np.random.RandomState(seed).permutation(len(rows))
    return header, [rows[i] for i in order], int(len(rows) * SHARE)


def as_text(header, rows):
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()
