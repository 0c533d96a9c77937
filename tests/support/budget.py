"""Where a run's minutes went: phases from RESULTS/phases, ctest's labels from its JUnit files.

    budget.py RESULTS TOTAL-SECONDS
"""

import collections
import glob
import os
import sys
import xml.etree.ElementTree


def label_seconds(path):
    """{label: (tests, seconds)}; a test counts under each of its labels."""
    table = collections.defaultdict(lambda: [0, 0.0])
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        labels = [p.get("value", "") for p in case.iter("property") if p.get("name") == "cmake_labels"]
        for label in (labels[0].split(";") if labels and labels[0] else ["(none)"]):
            table[label][0] += 1
            table[label][1] += float(case.get("time", 0))
    return table


def main():
    folder, total = sys.argv[1], int(sys.argv[2])
    print("\n== where the time went")
    with open(os.path.join(folder, "phases"), encoding="utf-8") as file:
        for line in file:
            name, seconds = line.rsplit(" ", 1)
            print("  %-32s %6.1f min" % (name, int(seconds) / 60))
    print("  %-32s %6.1f min" % ("all", total / 60))
    print("\n== by label (CPU-sharing tests overlap: the sum may exceed the phase)")
    for path in sorted(glob.glob(os.path.join(folder, "*.xml"))):
        suite = os.path.splitext(os.path.basename(path))[0]
        for label, (count, seconds) in sorted(label_seconds(path).items(), key=lambda item: -item[1][1]):
            print("  %-12s %-18s %4d tests %6.1f min" % (suite, label, count, seconds / 60))


if __name__ == "__main__":
    main()
