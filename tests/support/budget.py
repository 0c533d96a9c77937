"""Where a run's minutes went: phases from RESULTS/phases, shared out to the budget's posts by ctest's JUnit files and
the labels and slots in its JSON lists (RESULTS/SUITE.xml, SUITE.json).

    budget.py RESULTS TOTAL-SECONDS
"""

import collections
import json
import os
import sys
import xml.etree.ElementTree

# Post, minutes it may take, labels of its tests: the first post with a label of the test has it.
POSTS = (
    ("chaos", 8, {"chaos"}),
    ("trees", 4, {"trees"}),
    ("networks", 4, {"networks", "optimize", "golden", "kernels", "infer", "bench"}),
    ("fit and train", 3, {"fit", "train", "mpi"}),
    ("fuzz", 3, {"fuzz"}),
)
REST = ("worker and Kafka", 9)
SETUP = ("install and builds", 10)


def post_of(labels):
    return next((name for name, _, own in POSTS if own & set(labels)), REST[0])


def read_tests(path):
    """{name: (labels, slots)} of ctest --show-only=json-v1."""
    with open(path, encoding="utf-8") as file:
        tests = json.load(file)["tests"]
    table = {}
    for test in tests:
        values = {p["name"]: p["value"] for p in test.get("properties", [])}
        table[test["name"]] = (values.get("LABELS", []), int(values.get("PROCESSORS", 1)))
    return table


def read_suite(folder, suite):
    """[(labels, seconds, slots)] of every test that a suite ran."""
    known = read_tests(os.path.join(folder, suite + ".json"))
    cases = xml.etree.ElementTree.parse(os.path.join(folder, suite + ".xml")).getroot().iter("testcase")
    return [(known[c.get("name")][0], float(c.get("time", 0)), known[c.get("name")][1]) for c in cases]


def share_out(seconds, tests):
    """A suite's wall time to the posts, by the slots that their tests held and how long."""
    weights = collections.Counter()
    for labels, took, slots in tests:
        weights[post_of(labels)] += took * slots
    whole = sum(weights.values()) or 1.0
    return {post: seconds * weight / whole for post, weight in weights.items()}


def main():
    folder, total = sys.argv[1], int(sys.argv[2])
    spent, suites = collections.Counter(), {}
    print("\n== where the time went")
    with open(os.path.join(folder, "phases"), encoding="utf-8") as file:
        for line in file:
            name, seconds = line.rsplit(" ", 1)
            print("  %-32s %6.1f min" % (name, int(seconds) / 60))
            if name.startswith("test "):
                suite = name[len("test "):]
                suites[suite] = read_suite(folder, suite)
                spent.update(share_out(int(seconds), suites[suite]))
            else:
                spent[SETUP[0]] += int(seconds)
    print("  %-32s %6.1f min" % ("all", total / 60))

    print("\n== the budget (tests that overlap share their suite's minutes)")
    for name, minutes in (SETUP, REST, *((name, minutes) for name, minutes, _ in POSTS)):
        print("  %-32s %6.1f of %2d min%s" % (name, spent[name] / 60, minutes,
                                              "  OVER" if spent[name] > minutes * 60 else ""))

    print("\n== by label (tests overlap: the sum exceeds the suite)")
    for suite, tests in suites.items():
        table = collections.defaultdict(lambda: [0, 0.0])
        for labels, took, _ in tests:
            for label in labels:
                table[label][0] += 1
                table[label][1] += took
        for label, (count, took) in sorted(table.items(), key=lambda item: -item[1][1]):
            print("  %-12s %-18s %4d tests %6.1f min" % (suite, label, count, took / 60))


if __name__ == "__main__":
    main()
