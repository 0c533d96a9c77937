"""Every #include of src/ against the dependency rule in src/README.md, and third-party headers where they belong.

The rule is a fenced block, one line a folder:

    ```rule
    core:
    decode: core
    ```
"""

import os
import re
import sys

from sources import c_files, read, report

# Third-party headers and the only folders of src/ that may see them.
OWNED = {
    "librdkafka/": {"kafka"},
    "microhttpd.h": {"http"},
    "curl/": {"decode"},
    "cblas.h": {"kernels"},
    "mpi.h": {"mpi"},
    "openblas": {"kernels"},
    "openssl/": {"model", "control"},
    "jansson.h": {"decode", "data", "model", "import", "fit", "train", "optimize", "control", "demo", "cmd"},
    "zlib.h": {"demo", "data", "cmd"},
    "zstd.h": {"data", "cmd"},
    "snappy-c.h": {"data"},
    "protobuf-c/": {"import"},
}
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.M)


def parse_rule(text):
    """{folder: set of folders it may include}; ValueError when there is no rule."""
    block = re.search(r"^```rule\n(.*?)^```", text, re.S | re.M)
    if not block:
        raise ValueError("src/README.md has no ```rule block")
    rule = {}
    for line in block.group(1).splitlines():
        if line.strip():
            folder, _, used = line.partition(":")
            rule[folder.strip()] = set(used.split())
    return rule


def check(root):
    """[problem]"""
    rule = parse_rule(read(root, "src/README.md"))
    folders = {name for name in os.listdir(os.path.join(root, "src")) if os.path.isdir(os.path.join(root, "src", name))}
    problems = ["src/README.md: no rule for src/%s" % f for f in sorted(folders - set(rule))]
    problems += ["src/README.md: the rule names %s, which is no folder" % f
                 for f in sorted((set(rule) | set().union(*rule.values())) - folders)]
    for path in c_files(root, "src"):
        parts = path.split(os.sep)
        folder = parts[1] if len(parts) > 2 else None
        for match in INCLUDE.finditer(read(root, path)):
            problem = judge(rule, folder, match.group(1), match.group(2), folders)
            if problem:
                problems.append("%s: includes %s: %s" % (path, match.group(2), problem))
    return problems


def judge(rule, folder, kind, header, folders):
    """Why that include breaks the rule, or None. `folder` None: src/main.c, which may include cmd/ only."""
    allowed = rule.get(folder, set()) | {folder} if folder else {"cmd", "core"}
    if kind == "<":
        for prefix, owners in OWNED.items():
            if header.startswith(prefix) and folder not in owners:
                return "only %s may" % ", ".join(sorted(owners))
        return None
    if header.startswith("lepton/"):
        return None
    target = header.split("/")[0] if "/" in header else folder
    if target not in folders:
        return "not in a folder of src/"
    return None if target in allowed else "%s may not use %s" % (folder or "main.c", target)


if __name__ == "__main__":
    report(check(sys.argv[1]))
