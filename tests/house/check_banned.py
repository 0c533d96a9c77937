"""Calls that the house style bans, anywhere in src/ and tests/."""

import re
import sys

from sources import c_files, read, report, without_comments_and_texts

BANNED = re.compile(r"\b(atoi|atol|atoll|atof|strcpy|strcat|sprintf|vsprintf|gets|alloca|strtok|system)\s*\(")


def check(root):
    problems = []
    for path in c_files(root, "src", "include", "tests"):
        code = without_comments_and_texts(read(root, path))
        problems += ["%s:%d: %s is banned" % (path, code.count("\n", 0, m.start()) + 1, m.group(1))
                     for m in BANNED.finditer(code)]
    return problems


if __name__ == "__main__":
    report(check(sys.argv[1]))
