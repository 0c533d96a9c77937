"""lepton score on CSV: the same records as JSON Lines must give the same lines."""

import csv
import io
import json
import os
import unittest

import program
from program import lines, score, write

COLUMNS = ["user.age", "item.price", "item.ratings[1]", "constant", "colour", "size", "user.city", "word", "vector.0",
           "vector.1", "vector.2"]


def cells(record):
    item, user = record.get("item", {}), record.get("user", {})
    ratings = item.get("ratings", [])
    vector = record.get("vector") or [None] * 3
    return [user.get("age"), item.get("price"), ratings[1] if len(ratings) > 1 else None, record.get("constant"),
            record.get("colour"), record.get("size"), user.get("city"), record.get("word"), *vector]


def as_csv(records, columns=None, **dialect):
    out = io.StringIO()
    writer = csv.writer(out, **dialect)
    writer.writerow(columns or COLUMNS)
    writer.writerows(cells(r) for r in records)
    return out.getvalue()


class Csv(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model, cls.mlp = program.nested(), program.mlp()
        cls.records = cls.model.records(700)
        cls.expected, _ = score(cls.model.path, "-", data=lines(cls.records))

    def test_the_same_records_give_the_same_lines(self):
        for dialect in ({}, {"lineterminator": "\n"}):
            out, err = score(self.model.path, "-", data=as_csv(self.records, **dialect))
            self.assertEqual(out, self.expected)
            self.assertEqual(err, "")

    def test_quotes_around_every_field_change_nothing(self):
        full = [r for r in self.records if None not in cells(r)]
        self.assertGreater(len(full), 50)
        out, _ = score(self.model.path, "-", data=as_csv(full, quoting=csv.QUOTE_ALL))
        self.assertEqual(out, score(self.model.path, "-", data=lines(full))[0])

    def test_quoted_and_empty_is_a_text_of_no_characters(self):
        manifest = json.loads(json.dumps(self.model.manifest))
        manifest["golden"] = {"source": "none"}
        colour = next(f for f in manifest["features"] if f["name"] == "colour")
        colour["encode"]["vocabulary"][0] = ""
        model = program.Model("empty.safetensors", manifest, self.model.tensors)
        expected, _ = score(model.path, "-", data='{"colour":""}\n{}\n{"colour":"grün"}\n')
        self.assertEqual(len(set(expected)), 3)
        out, _ = score(model.path, "-", data='colour,note\n"",1\n,1\n"grün",1\n')
        self.assertEqual(out, expected)
        self.assertEqual(score(model.path, "-", data='colour\n""\n')[0], expected[:1])

    def test_texts_that_are_no_utf8_are_bad_records(self):
        for bad in (b"a\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82", b"a\x00b", b"\x00"):
            out, _ = score(self.model.path, "-", data=b"colour,x\nred,1\n%s,1\nred,%s\n" % (bad, bad))
            self.assertEqual(["error" in line for line in out], [False, True, False], bad)
            self.assertEqual(json.loads(out[1])["error"]["field"], "colour")
            self.assertEqual(json.loads(out[1])["error"]["stage"], "decode")

    def test_a_vector_without_all_its_columns_is_refused(self):
        for names, absent in (("vector.0,vector.2", "vector.1"), ("vector.1,colour,vector.2", "vector.0")):
            _, err = score(self.model.path, "-", data=names + "\n1,2,3\n", code=1)
            self.assertIn(absent, err)
            self.assertIn("all of its 3 columns", err)

    def test_columns_may_come_in_any_order_with_others_between(self):
        order = COLUMNS[::-1]
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["note, free"] + order)
        for i, record in enumerate(self.records[:100]):
            writer.writerow(['he said "%d"\r\nand left' % i] + cells(record)[::-1])
        out, err = score(self.model.path, write("order.csv", text.getvalue()))
        self.assertEqual((out, err), (self.expected[:100], ""))

    def test_a_byte_order_mark_blank_lines_and_no_last_newline_are_fine(self):
        text = "\ufeff" + as_csv(self.records[:3], lineterminator="\n").replace("\n", "\n\n").rstrip("\n")
        self.assertEqual(score(self.model.path, "-", data=text)[0], self.expected[:3])

    def one(self, header, row, *arguments):
        out, err = score(self.mlp.path, "-", *arguments, data=header + "\n" + row + "\n")
        return json.loads(out[0]), err

    def test_empty_is_missing_and_words_are_numbers(self):
        header = "f0,f1,f2,f3"
        json_line = json.loads(score(self.mlp.path, "-", data='{"f0":null,"f1":1.5,"f2":-2e3,"f3":1}\n')[0][0])
        for row in (",1.5,-2e3,1", '"",1.5,-2e3,1', "nan,1.5,-2000,true", "NaN, 1.5 ,-2.0E+3,+1", "nan,1.5,-2e3,TRUE\r",
                    "NA,1.5,-2e3,1", "n/a,1.5,-2e3,1", "#N/A,1.5,-2e3,1", "<NA>,1.5,-2e3,1", " null ,1.5,-2e3,1",
                    "None,1.5,-2e3,1"):
            self.assertEqual(self.one(header, row)[0], json_line, row)
        clipped = [self.one(header, "inf,0,0,0")[0], self.one(header, "1e300,0,0,0")[0]]
        self.assertEqual(clipped[0], clipped[1])
        lowest = [self.one(header, "-inf,0,0,0")[0], self.one(header, "-Infinity,0,0,0")[0],
                  self.one(header, "-1e300,0,0,0")[0]]
        self.assertEqual(lowest[0], lowest[1])
        self.assertEqual(lowest[0], lowest[2])
        self.assertNotEqual(lowest[0], clipped[0])

    def test_what_is_not_a_number_is_a_bad_record(self):
        for text in ("x", "0x10", "1,5x", "1 2", "nan(1)", "--1", "1e", "infinite", "1_000", "٣", "-NA", "nana", "n.a.", "-"):
            got, _ = self.one("f0,f1,f2,f3", '"%s",0,0,0' % text)
            self.assertEqual(got["error"]["stage"], "decode", text)
            self.assertEqual(got["error"]["field"], "f0", text)

    def test_errors_in_csv_cannot_steer_the_terminal(self):
        out, _ = score(self.mlp.path, "-", "--csv", data='f0,f1\n"\x1b[31mEVIL\n1,1",2\n')
        self.assertEqual(len(out), 2)
        self.assertIn('""?[31mEVIL?1,1"" is not a number', out[1])

    def test_malformed_rows_are_one_bad_record_each(self):
        data = 'f0,f1,f2,f3\n1,2,3,4\n1,2,3\n1,2,3,4,5\n"1"x,2,3,4\n1"2,2,3,4\n1,2,3,\n1,2,3,4'
        out, err = score(self.mlp.path, "-", data=data)
        kinds = ["error" in json.loads(line) for line in out]
        self.assertEqual(kinds, [False, True, True, True, True, False, False])
        self.assertIn("3 fields, the header has 4", out[1])
        self.assertIn("5 fields, the header has 4", out[2])
        self.assertEqual(out[0], out[6])
        self.assertIn("4 of 7", err)
        out, _ = score(self.mlp.path, "-", data='f0,f1,f2,f3\n"1,2,3,4\n5,6,7,8\n')
        self.assertEqual(len(out), 1)
        self.assertIn("error", out[0])

    def test_absent_columns_are_missing_and_said_once(self):
        out, err = score(self.mlp.path, "-", data="f1,f3\n1,2\n3,4\n")
        self.assertEqual(out, score(self.mlp.path, "-", data='{"f1":1,"f3":2}\n{"f1":3,"f3":4}\n')[0])
        self.assertEqual(err.count("\n"), 1)
        self.assertIn("2 of the features have no column", err)
        _, err = score(self.mlp.path, "-", "--strict", data="f1,f3\n1,2\n", code=1)
        self.assertIn("have no column: f0", err)

    def test_files_that_are_no_csv_for_this_model_fail(self):
        for data, text in (("a,b\n1,2\n", "no column is named"), ("f0,f0\n1,2\n", "twice"), ('"f0\n1\n', "header")):
            _, err = score(self.mlp.path, "-", data=data, code=1)
            self.assertIn(text, err)

    def test_a_single_column_has_missing_rows(self):
        out, _ = score(self.mlp.path, "-", data="f0\n1\n\n2\n")
        self.assertEqual(len(out), 3)
        self.assertEqual(out[1], score(self.mlp.path, "-", data="{}\n")[0][0])

    def test_a_directory_is_its_files_in_order_each_with_its_own_header(self):
        folder = program.path("parts")
        os.makedirs(os.path.join(folder, "sub"), exist_ok=True)
        halves = as_csv(self.records[:50]), as_csv([dict(r) for r in self.records[50:120]])
        order = COLUMNS[::-1]
        out = io.StringIO()
        csv.writer(out).writerows([order] + [cells(r)[::-1] for r in self.records[50:120]])
        for name, text in (("b.csv", out.getvalue()), ("a.csv", halves[0]), ("_SUCCESS", "x"), (".b.crc", "x"),
                           ("c.csv", "")):
            write(os.path.join("parts", name), text)
        self.assertEqual(score(self.model.path, folder), (self.expected[:120], ""))
        write("parts/d.csv", '{"user":1}\n')
        _, err = score(self.model.path, folder, code=1)
        self.assertIn("d.csv: is JSON Lines, the files before it are CSV", err)
        write("parts/d.csv", "user.age\n1\n")
        _, err = score(self.model.path, folder, code=1)
        self.assertIn("d.csv: lacks columns that", err)

    def test_rows_longer_than_a_chunk_and_quotes_across_its_end_change_nothing(self):
        rows = [[r, "x" * (i * 997 % 5000) + '"\n,"' * (i % 50)] for i, r in enumerate(self.records[:300])]
        rows[7][1] = 'a"\r\n,' * 100000
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(["note"] + COLUMNS)
        writer.writerows([note] + cells(r) for r, note in rows)
        self.assertEqual(score(self.model.path, write("long.csv", out.getvalue())), (self.expected[:300], ""))


if __name__ == "__main__":
    unittest.main()
