#!/usr/bin/env python3
"""Chaos: a stream of numbered records through workers and brokers that suffer one fault a round; every input accounted for.

    driver.py --delivery at_least_once --brokers 1 --rounds 20 --seed 7
    driver.py --delivery exactly_once --brokers 3 --kafka 4.1.0 --rounds 1000 --minutes 300 --journal eo.jsonl

Round n of a seed is always the same fault with the same draws. With --journal each round is noted in a file, and a run
with the same file goes on behind the last one. Exit 1: a guarantee was broken, the violations are named; 2: the harness
itself failed. Needs LEPTON_BINARY, PYTHONPATH=tests/support and the jars of tests/support/fetch.sh.
"""

import argparse
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
import traceback

import faults
import kafka
from rig import Rig
from shim import Shim
from worker import binary

SETTLE_S = 90
SETTLE_SABOTAGED_S = 15


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None, help="default: the time; always printed")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="number of the first round")
    parser.add_argument("--minutes", type=float, default=None, help="no round begins later than that")
    parser.add_argument("--least", type=int, default=0, help="rounds that are run whatever the minutes say")
    parser.add_argument("--delivery", choices=["at_least_once", "exactly_once"], default="at_least_once")
    parser.add_argument("--brokers", type=int, choices=[1, 3], default=1)
    parser.add_argument("--kafka", default=None, help="version; default: the first of versions.sh")
    parser.add_argument("--rate", type=int, default=300, help="records a second")
    parser.add_argument("--assignor", choices=["range", "cooperative-sticky"], default=None,
                        help="default: what the program chooses; at exactly_once one or the other, by the seed")
    parser.add_argument("--evidence", default=None, help="folder for what may explain a violation; default: JOURNAL.evidence")
    parser.add_argument("--faults", type=lambda text: text.split(","), default=None, help="only these, comma separated")
    parser.add_argument("--journal", default=None, help="file with a JSON line a round; goes on behind its last one")
    parser.add_argument("--until-violation", action="store_true", help="a broken guarantee is what is hoped for: exit 0 then")
    parser.add_argument("--shim", default=os.environ.get("LEPTON_CHAOS_SHIM"), help="library for full disks and clocks")
    options = parser.parse_args()
    unknown = set(options.faults or ()) - set(faults.FAULTS)
    if unknown:
        parser.error("no such fault: %s; there are %s" % (", ".join(unknown), ", ".join(faults.FAULTS)))
    if options.seed is None:
        options.seed = int(time.time())
    if options.evidence is None and options.journal:
        options.evidence = options.journal + ".evidence"
    options.kafka = options.kafka or os.environ.get("LEPTON_TEST_KAFKA") or kafka.versions()[0]
    return options


def say(text):
    print(text, flush=True)


class Journal:
    """One JSON line a round."""

    def __init__(self, path):
        self._path = path

    def next_round(self, seed, first):
        if self._path is None or not os.path.exists(self._path):
            return first
        with open(self._path, encoding="utf-8") as file:
            done = [json.loads(line) for line in file]
        return max([first] + [d["round"] + 1 for d in done if d["seed"] == seed])

    def note(self, **values):
        if self._path is not None:
            with open(self._path, "a", encoding="utf-8") as file:
                file.write(json.dumps(values) + "\n")


def run_round(rig, options, number):
    rng = random.Random("%d:%d" % (options.seed, number))
    name = faults.choose(options, rng)
    started = time.time()
    begin, duplicates = time.monotonic(), rig.account.duplicates
    violations = sum(rig.account.violations.values())
    current = rig.begin_round(number, name)
    text = faults.FAULTS[name][0](rig, rng)
    faulted = time.monotonic()
    settled = rig.settle(SETTLE_SABOTAGED_S if options.until_violation else SETTLE_S)
    rig.attribute()
    for proxy in rig.broker.proxies:
        proxy.heal()
    if sum(rig.account.violations.values()) > violations:
        rig.keep()
    repeated = rig.account.duplicates - duplicates
    say("%s round %d: %s: %s; %.1f s and %.1f s to recover; %d accounted for, %d repeated%s%s"
        % (time.strftime("%H:%M:%S", time.gmtime(started)), number, name, text, faulted - begin, time.monotonic() - faulted, rig.account.frontier, repeated,
           "; " + "; ".join(e for _, e in current.events) if repeated else "", "" if settled else "; NOT RECOVERED"))
    return {"seed": options.seed, "round": number, "fault": name, "text": text, "begin": started, "seconds": time.monotonic() - begin,
            "repeated": repeated, "records": rig.account.frontier,
            "wedges": rig.wedges}


def run(options, rig):
    """Rounds until the count or the time is reached. Returns how many, and how many records by kind of fault came twice."""
    journal = Journal(options.journal)
    first = journal.next_round(options.seed, options.first)
    deadline = time.monotonic() + options.minutes * 60 if options.minutes else float("inf")
    done, repeated, shown = 0, collections.Counter(), 0
    rig.wait_ready(kafka.START_S)
    rig.settle(SETTLE_S)
    build = subprocess.run([binary(), "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    for number in range(first, options.first + options.rounds):
        if done >= options.least and time.monotonic() > deadline:
            break
        noted = run_round(rig, options, number)
        done += 1
        repeated[noted["fault"]] += noted["repeated"]
        journal.note(**noted, violations=dict(rig.account.violations), delivery=options.delivery,
                     brokers=options.brokers, kafka=options.kafka, build=build)
        for text in rig.account.texts[shown:]:
            say("  VIOLATION " + text)
        shown = len(rig.account.texts)
        if options.until_violation and rig.account.violations:
            return done, repeated
    rig.begin_round(first + done, "end")
    rig.finish()
    for text in rig.account.texts[shown:]:
        say("  VIOLATION " + text)
    return done, repeated


def report(options, rig, done, repeated, seconds):
    account = rig.account
    say("chaos: %s, %d broker%s %s, assignor %s, seed %d: %d rounds in %.0f s"
        % (options.delivery, options.brokers, "s" if options.brokers > 1 else "", options.kafka, rig.assignor or "by default",
           options.seed, done, seconds))
    say("chaos: %d records: %d scored, %d dead-lettered, %d repeated; workers that ended by themselves: %d"
        % (account.written, account.scored, account.letters, account.duplicates, rig.self_exits))
    if rig.wedges:
        say("chaos: brokers restarted because their coordinator was wedged: %d" % rig.wedges)
    if any(repeated.values()):
        say("chaos: repeated by fault: " + ", ".join("%s %d" % item for item in repeated.most_common() if item[1]))
    say("chaos: violations: " + (", ".join("%s %d" % item for item in account.violations.items()) or "none"))


def end_by_signal(number, _frame):
    say("chaos: ended by signal %d" % number)
    raise SystemExit(128 + number)


def main():
    options = parse()
    signal.signal(signal.SIGTERM, end_by_signal)
    options.shim_environment = Shim.environment_of(options, "broker")
    say("chaos: seed %d, %s, %d broker(s) %s" % (options.seed, options.delivery, options.brokers, options.kafka))
    begin, rig = time.monotonic(), None
    try:
        kafka.make_archive(options.kafka)
        rig = Rig(options, random.Random(options.seed), say)
        done, repeated = run(options, rig)
        report(options, rig, done, repeated, time.monotonic() - begin)
        code = 1 if rig.account.violations else 0
        if options.until_violation:
            code = 1 - code
    except Exception:
        traceback.print_exc()
        code = 2
        if rig is not None:
            rig.describe()
    finally:
        if rig is not None:
            rig.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
