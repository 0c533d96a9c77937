"""clang-format 14 (the version in requirements.txt, the same on every Debian) has nothing to change."""

import os
import subprocess
import sys

import clang_format
from sources import c_files, report

VERSION = "14."


def dry_run(tool, files):
    return subprocess.run([tool, "--dry-run", "-Werror", *files], capture_output=True, text=True)


def check(root):
    tool = os.path.join(os.path.dirname(clang_format.__file__), "data", "bin", "clang-format")
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    if " version " + VERSION not in version:
        return ["%s is not version %s*: %s" % (tool, VERSION, version.strip())]
    files = c_files(root, "src", "include", "tests")
    if not files:
        return ["no C files below %s" % root]
    if dry_run(tool, [os.path.join(root, path) for path in files]).returncode == 0:
        return []
    problems = []
    for path in files:
        done = dry_run(tool, [os.path.join(root, path)])
        if done.returncode:
            problems.append("%s: run clang-format -i\n%s" % (path, "\n".join(done.stderr.splitlines()[:3])))
    return problems


if __name__ == "__main__":
    report(check(sys.argv[1]))
