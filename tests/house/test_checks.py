"""The checks find what they are there for: a check that cannot fail is a defect."""

import os
import tempfile
import unittest

import check_banned
import check_includes
import check_reference
from sources import without_comments_and_texts

RULE = "words\n```rule\ncore:\nkafka: core\nworker: kafka core\n```\nmore words\n"


class Tree(unittest.TestCase):
    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.root = self._folder.name
        self.write("src/README.md", RULE)
        for folder in ("core", "kafka", "worker"):
            self.write("src/%s/a.c" % folder, '#include "core/a.h"\n#include <stdio.h>\n')
        os.makedirs(os.path.join(self.root, "include"))
        os.makedirs(os.path.join(self.root, "tests"))

    def tearDown(self):
        self._folder.cleanup()

    def write(self, path, text):
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)

    def includes(self):
        return check_includes.check(self.root)

    def test_a_tree_within_the_rule_passes(self):
        self.write("src/worker/b.c", '#include "kafka/a.h"\n#include "lepton/error.h"\n')
        self.write("src/kafka/b.c", "#include <librdkafka/rdkafka.h>\n")
        self.assertEqual(self.includes(), [])

    def test_an_include_against_the_rule_is_found(self):
        self.write("src/core/b.h", '#  include "kafka/a.h"\n')
        self.assertEqual(len(self.includes()), 1)
        self.assertIn("core may not use kafka", self.includes()[0])

    def test_rdkafka_outside_its_folder_is_found(self):
        self.write("src/worker/b.c", "#include <librdkafka/rdkafka.h>\n")
        self.assertIn("only kafka may", self.includes()[0])

    def test_a_folder_without_a_rule_and_a_rule_without_a_folder_are_found(self):
        self.write("src/extra/a.c", "")
        self.write("src/README.md", RULE.replace("worker: kafka core", "worker: kafka core gone"))
        self.assertEqual(len(self.includes()), 2)

    def test_a_readme_without_a_rule_fails(self):
        self.write("src/README.md", "no rule\n")
        with self.assertRaises(ValueError):
            self.includes()

    def test_banned_calls_are_found_and_comments_are_not(self):
        self.write("src/core/b.c", '/* strcpy( */ int x; // atoi(\nconst char *s = "sprintf(";\nint y = atoi ("1");\n')
        self.assertEqual(check_banned.check(self.root), ["src/core/b.c:3: atoi is banned"])
        self.write("src/core/b.c", "snprintf(a, b, c); my_strcpy(d, e);\n")
        self.assertEqual(check_banned.check(self.root), [])

    def test_blanking_keeps_line_numbers(self):
        self.assertEqual(without_comments_and_texts('a /* b\nc */ d "e\\"f" // g\nh').count("\n"), 2)

    def test_a_readme_without_marks_fails(self):
        with self.assertRaises(ValueError):
            check_reference.split("no marks")


if __name__ == "__main__":
    unittest.main()
