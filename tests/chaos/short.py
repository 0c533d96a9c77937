#!/usr/bin/env python3
"""The short form: every kind of run for as long as five minutes allow, two at a time; prints how many rounds that made."""

import os
import re
import sys
import time

from kafka import versions
from process import Child, temp_folder

HERE = os.path.dirname(os.path.abspath(__file__))
SEED = int(os.environ.get("LEPTON_CHAOS_SEED", "20"))
LEAST_ROUNDS = 12
RUN_S = 600
FIRST, LAST = versions()[0], versions()[-1]

# Pairs that run side by side: (program, arguments). The minutes are what is left for rounds after a cluster's start.
PAIRS = [
    [("sabotage.py", ["early_store", "--kafka", FIRST]),
     ("sabotage.py", ["commit_outside", "--kafka", LAST])],
    [("driver.py", ["--delivery", "at_least_once", "--brokers", "1", "--kafka", LAST, "--minutes", "1.0"]),
     ("driver.py", ["--delivery", "exactly_once", "--brokers", "1", "--kafka", FIRST, "--minutes", "1.0"])],
    [("driver.py", ["--delivery", "at_least_once", "--brokers", "3", "--kafka", FIRST, "--minutes", "1.0"]),
     ("driver.py", ["--delivery", "exactly_once", "--brokers", "3", "--kafka", LAST, "--minutes", "1.0"])],
]


def start(turn, program, arguments):
    argv = [sys.executable, os.path.join(HERE, program), *arguments, "--seed", str(SEED + turn)]
    if program == "driver.py":
        argv += ["--least", "3", "--rounds", "1000"]
    return Child(argv, os.path.join(temp_folder("short"), "log"))


def main():
    begin, rounds, failed = time.monotonic(), 0, []
    for number, pair in enumerate(PAIRS):
        started = [(run, start(2 * number + turn, *run)) for turn, run in enumerate(pair)]
        for (program, arguments), child in started:
            child.wait(RUN_S)
            output = child.log()
            print("== %s %s" % (program, " ".join(arguments)), output, sep="\n", flush=True)
            if child.returncode != 0:
                failed.append("%s %s: exit %d" % (program, " ".join(arguments), child.returncode))
            if program == "driver.py":
                rounds += sum(map(int, re.findall(r"^chaos: .*: (\d+) rounds in", output, re.M)))
    print("chaos, short form: %d rounds in %.0f s" % (rounds, time.monotonic() - begin))
    if rounds < LEAST_ROUNDS:
        failed.append("%d rounds, at least %d were to be" % (rounds, LEAST_ROUNDS))
    for text in failed:
        print("FAILED: " + text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
