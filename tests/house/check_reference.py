"""What README.md has between two marks is what the program prints: the configuration reference, the table of errors.

    check_reference.py ROOT LEPTON [--write]     --write puts it there
"""

import os
import subprocess
import sys

PARTS = (("config", "--print-reference"), ("actions", "--print-actions"))


def split(text, name="config"):
    """(before, reference, after); ValueError without the two marks."""
    begin, end = "<!-- %s:begin -->" % name, "<!-- %s:end -->" % name
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError("README.md must have %s and %s once each" % (begin, end))
    before, rest = text.split(begin)
    reference, after = rest.split(end)
    return before + begin, reference, end + after


def check(path, lepton, name, option):
    printed = subprocess.run([lepton, "check", option], capture_output=True, text=True, check=True).stdout
    if len(printed) < 100:
        sys.exit("`lepton check %s` printed next to nothing: %r" % (option, printed))
    with open(path, encoding="utf-8") as file:
        before, reference, after = split(file.read(), name)
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


def main():
    root, lepton = sys.argv[1:3]
    for name, option in PARTS:
        check(os.path.join(root, "README.md"), lepton, name, option)


if __name__ == "__main__":
    main()
