"""clang-format 14 (the version in requirements.txt, the same on every Debian) has nothing to change."""

import os
import subprocess
import sys

from sources import c_files, report

VERSION = "14."


def check(root):
    tool = os.path.join(os.path.dirname(sys.executable), "clang-format")
    version = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True).stdout
    if " version " + VERSION not in version:
        return ["%s is not version %s*: %s" % (tool, VERSION, version.strip())]
    files = c_files(root, "src", "include", "tests")
    if not files:
        return ["no C files below %s" % root]
    problems = []
    for path in files:
        full = os.path.join(root, path)
        done = subprocess.run([tool, "--dry-run", "-Werror", full], capture_output=True, text=True)
        if done.returncode:
            problems.append("%s: run clang-format -i\n%s" % (path, "\n".join(done.stderr.splitlines()[:3])))
    return problems


if __name__ == "__main__":
    report(check(sys.argv[1]))
