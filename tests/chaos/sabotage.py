#!/usr/bin/env python3
"""Each guarantee can fail: build lepton with it broken, and the checker must say so within 20 rounds.

    sabotage.py early_store [driver's options ...]

sabotage/NAME.patch is applied to a copy of the sources; the copy is built and put through the rounds that hurt it most.
"""

import os
import shutil
import subprocess
import sys
import time

from kafka import ROOT
from process import die_with_parent, temp_folder

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("CMakeLists.txt", "src", "include", "schemas")
# What the driver is told for each: the guarantee's own delivery, and faults that test it.
TRIALS = {
    "early_store": ["--delivery", "at_least_once", "--rate", "2000", "--faults", "black_hole_and_kill"],
    "commit_outside": ["--delivery", "exactly_once", "--faults", "black_hole_and_kill,kill_worker"],
}
ROUNDS = 20


def copy_sources():
    folder = temp_folder("sabotage")
    for source in SOURCES:
        path = os.path.join(ROOT, source)
        (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, os.path.join(folder, source))
    return folder


def apply(name, folder):
    """Replace the patch's lines by what it says; each must be found exactly once. Line numbers play no part, so that the
    code around may change."""
    patch = os.path.join(HERE, "sabotage", name + ".patch")
    path, removed, added = None, [], []

    def replace():
        if path is None:
            return
        old, new = "".join(removed), "".join(added)
        with open(os.path.join(folder, path), encoding="utf-8") as file:
            text = file.read()
        if text.count(old) != 1:
            raise RuntimeError("%s: %d places in %s look like\n%s" % (patch, text.count(old), path, old))
        with open(os.path.join(folder, path), "w", encoding="utf-8") as file:
            file.write(text.replace(old, new))

    with open(patch, encoding="utf-8") as lines:
        for line in lines:
            if line.startswith("--- a/"):
                replace()
                path, removed, added = line[6:].strip(), [], []
            elif line.startswith("@@") and removed + added:
                replace()
                removed, added = [], []
            elif path and line[0] in " -+" and not line.startswith("+++ "):
                if line[0] != "+":
                    removed.append(line[1:])
                if line[0] != "-":
                    added.append(line[1:])
    replace()


def build(name):
    """The program with `name` broken."""
    folder = copy_sources()
    apply(name, folder)
    made = os.path.join(folder, "build")
    begin = time.monotonic()
    subprocess.run(["cmake", "-S", folder, "-B", made, "-G", "Ninja", "-DBUILD_TESTING=OFF", "-DCMAKE_BUILD_TYPE=None",
                    "-DCMAKE_C_FLAGS=-O1"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", made, "--target", "lepton", "-j", str(os.cpu_count())], check=True,
                   stdout=subprocess.DEVNULL)
    print("sabotage: built %s in %.0f s" % (name, time.monotonic() - begin), flush=True)
    return os.path.join(made, "lepton")


def main():
    name, *more = sys.argv[1:]
    environment = {**os.environ, "LEPTON_BINARY": build(name)}
    code = subprocess.run([sys.executable, os.path.join(HERE, "driver.py"), *TRIALS[name], "--rounds", str(ROUNDS),
                           "--until-violation", *more], env=environment, check=False,
                          preexec_fn=die_with_parent).returncode
    print("sabotage: %s %s" % (name, "caught" if code == 0 else "NOT CAUGHT"), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
