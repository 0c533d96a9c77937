"""The configuration reference in README.md is what `lepton check --print-reference` prints.

    check_reference.py ROOT LEPTON [--write]     --write puts it there
"""

import os
import subprocess
import sys

BEGIN, END = "<!-- config:begin -->", "<!-- config:end -->"


def split(text):
    """(before, reference, after); ValueError without the two marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError("README.md must have %s and %s once each" % (BEGIN, END))
    before, rest = text.split(BEGIN)
    reference, after = rest.split(END)
    return before + BEGIN, reference, END + after


def main():
    root, lepton = sys.argv[1:3]
    path = os.path.join(root, "README.md")
    printed = subprocess.run([lepton, "check", "--print-reference"], capture_output=True, text=True, check=True).stdout
    if len(printed) < 100:
        sys.exit("`lepton check --print-reference` printed next to nothing: %r" % printed)
    with open(path, encoding="utf-8") as file:
        before, reference, after = split(file.read())
    if reference.strip() == printed.strip():
        return
    if "--write" in sys.argv:
        with open(path, "w", encoding="utf-8") as file:
            file.write(before + "\n" + printed.strip() + "\n" + after)
        return
    there, wanted = reference.strip().splitlines(), printed.strip().splitlines()
    differing = [line for line in wanted if line not in there] + ["(gone) " + line for line in there if line not in wanted]
    sys.exit("README.md differs from the table in the code: tests/house/check_reference.py . LEPTON --write\n"
             + "\n".join(differing[:10]))


if __name__ == "__main__":
    main()
