"""The C files of the tree and small helpers of the checks."""

import os
import re
import sys


def c_files(root, *folders):
    """Paths below root/<folder>, relative to root, sorted."""
    found = []
    for folder in folders:
        for base, _, names in os.walk(os.path.join(root, folder)):
            found += [os.path.relpath(os.path.join(base, n), root) for n in names if n.endswith((".c", ".h"))]
    return sorted(found)


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def without_comments_and_texts(code):
    """The code with comments and string literals blanked, line numbers kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', blank, code, flags=re.S)


def report(problems):
    """Print and exit."""
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)
