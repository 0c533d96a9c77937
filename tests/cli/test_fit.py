"""lepton fit: statistics against numpy, kinds, bad data, and that serving normalizes by what was fitted."""

import collections
import csv
import io
import json
import os
import random
import subprocess
import unittest

import cramjam  # noqa: F401  (fastavro's snappy)
import fastavro
import jsonschema
import numpy as np

import program
from program import lines, run, write


def fit(*arguments, data=None, code=0):
    got, out, err = run("fit", *arguments, data=data)
    if got != code:
        raise AssertionError("exit %d, wanted %d: %s" % (got, code, err[:500]))
    return out, err


def report(*arguments, data=None):
    return json.loads(fit(*arguments, "--json", data=data)[0])


def by_name(result):
    return {c["column"]: c for c in result["columns"]}


def table(columns):
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    for row in zip(*columns.values()):
        writer.writerow(["" if isinstance(v, float) and np.isnan(v) else repr(float(v)) if isinstance(v, float) else v
                         for v in row])
    return out.getvalue()


def numbers(rng, count):
    return {
        "normal": rng.normal(size=count),
        "offset": 1e9 + 1e-3 * rng.normal(size=count),
        "far": 1e12 + rng.normal(size=count),
        "huge": 1e300 * rng.normal(size=count),
        "tiny": 1e-300 * rng.normal(size=count),
        "gaps": np.where(rng.random(count) < 0.3, np.nan, rng.exponential(size=count)),
        "whole": rng.integers(-5, 6, size=count).astype(float),
        "mixed": np.where(np.arange(count) % 2 == 0, 1e8, 1e-8) * rng.normal(size=count),
    }


class Statistics(unittest.TestCase):
    def check(self, got, values):
        x = np.asarray(values, dtype=np.longdouble)
        x = x[~np.isnan(x)]
        mean = x.mean()
        std = np.sqrt(((x - mean) ** 2).mean())
        self.assertEqual(got["count"], len(x))
        self.assertEqual(got["missing"], len(values) - len(x))
        scale = np.abs(x).max()
        self.assertLessEqual(abs(got["mean"] - mean), 1e-12 * abs(mean) + 1e-16 * scale, got["column"])
        self.assertLessEqual(abs(got["std"] - std), 1e-12 * std, got["column"])
        self.assertEqual((got["min"], got["max"]), (float(x.min()), float(x.max())))

    def test_moments_are_numpys(self):
        for count in (1, 2, 7, 1000, 40000):
            columns = numbers(np.random.default_rng(count), count)
            result = by_name(report("-", data=table(columns)))
            for name, values in columns.items():
                if not np.isnan(values).all():
                    self.check(result[name], values)

    def test_quantiles_of_few_are_numpys_and_of_many_within_the_stated_error(self):
        rng = np.random.default_rng(5)
        few = rng.normal(size=1000)
        got = by_name(report("-", data=table({"x": few})))["x"]
        self.assertEqual(got["quantile_error"], 0)
        for q, value in got["quantiles"].items():
            self.assertAlmostEqual(value, np.quantile(few, float(q)), delta=1e-14)
        many = rng.normal(size=120000)
        half = len(many) // 2
        rising = np.sort(many)
        orders = {"random": many, "rising": rising, "falling": rising[::-1].copy(),
                  "outside_in": np.stack([rising[:half], rising[half:][::-1]], 1).ravel(),
                  "halves": np.concatenate([rising[half:], rising[:half]]),
                  "ties": np.round(many)}
        result = by_name(report("-", data=table(orders)))
        for name, values in orders.items():
            error = result[name]["quantile_error"]
            self.assertTrue(0 < error < 0.01)
            for q, value in result[name]["quantiles"].items():
                low, high = (values < value).mean(), (values <= value).mean()
                self.assertTrue(low - error <= float(q) <= high + error, (name, q, low, high))

    def test_threads_change_nothing_and_files_only_the_last_bits(self):
        rng = np.random.default_rng(6)
        columns = numbers(rng, 60000)
        columns["word"] = rng.choice(["a", "b", "c,d", 'say "e"', "f\ng"], size=60000)
        columns["label"] = rng.integers(0, 2, size=60000)
        text = table(columns)
        one = write("one.csv", text)
        os.makedirs(program.path("many"), exist_ok=True)
        head, rest = text.split("\n", 1)
        rows = list(csv.reader(io.StringIO(rest)))
        for i in range(5):
            out = io.StringIO()
            csv.writer(out).writerows([head.rstrip("\r").split(",")] + rows[i * 12000:(i + 1) * 12000])
            write("many/%d.csv" % i, out.getvalue())
        results = [report(one, "--label", "label", "--threads", n) for n in ("1", "2", "5")]
        for result in results:
            for key in ("seconds", "threads"):
                del result[key]
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])
        split = by_name(report(program.path("many"), "--label", "label"))
        for name, whole in by_name(results[0]).items():
            for key in ("count", "missing", "distinct", "top", "min", "max"):
                self.assertEqual(split[name].get(key), whole.get(key), (name, key))
            for key in ("mean", "std"):
                if key in whole:
                    self.assertAlmostEqual(split[name][key] / whole[key], 1, delta=1e-12, msg=name)
            if "correlation" in whole:
                self.assertAlmostEqual(split[name]["correlation"], whole["correlation"], delta=1e-12, msg=name)

    def test_infinite_values_are_counted_and_in_no_figure(self):
        result = report("-", data="x,y\n1,2\ninf,3\n-inf,4\nnan,5\n3,6\n")
        x = by_name(result)["x"]
        self.assertEqual((x["infinite"], x["missing"], x["mean"], x["std"], x["min"], x["max"]), (2, 1, 2, 1, 1, 3))
        self.assertIn("2 infinite values", str(result["warnings"]))

    def test_distinct_values_are_counted_exactly_when_few_and_nearly_when_many(self):
        rng = np.random.default_rng(7)
        for count in (1, 60, 1500, 30000, 200000):
            values = rng.permutation(np.repeat(np.arange(count), max(1, 3000 // count)))
            result = by_name(report("-", data=table({"n": values + 0.5, "t": ["t%d" % v for v in values]})))
            for name in ("n", "t"):
                # 1.6 % is the standard error: 4 of them
                self.assertLessEqual(abs(result[name]["distinct"] - count), 0.065 * count, (name, count))
                if count <= 60:
                    self.assertEqual(result[name]["distinct"], count)

    def test_correlation_and_repeats_are_numpys(self):
        rng = np.random.default_rng(8)
        x, noise = rng.normal(size=5000), rng.normal(size=5000)
        y = (x + noise > 0).astype(int)
        words = np.where(y + rng.integers(0, 2, 5000) > 1, "high", "low")
        columns = {"x": x, "neg": -3 * x + 7 + noise, "word": words, "y": y}
        result = by_name(report("-", "--label", "y", data=table(columns)))
        for name in ("x", "neg"):
            self.assertAlmostEqual(result[name]["correlation"], np.corrcoef(columns[name], y)[0, 1], delta=1e-12)
        between = sum((words == w).sum() * (y[words == w].mean() - y.mean()) ** 2 for w in ("high", "low"))
        self.assertAlmostEqual(result["word"]["correlation"], np.sqrt(between / (len(y) * y.var())), delta=1e-12)
        text = ["yes" if v else "no" for v in y]
        again = by_name(report("-", "--label", "y", data=table(dict(columns, y=text))))
        self.assertAlmostEqual(again["x"]["correlation"], result["x"]["correlation"], delta=1e-15)
        rows = table({"a": rng.integers(0, 50, 5000), "b": rng.choice(["p", "q"], 5000)})
        expected = 5000 - len(set(rows.splitlines()[1:]))
        self.assertEqual(report("-", data=rows)["repeated"], expected)


class Csv(unittest.TestCase):
    def test_rows_are_those_of_pythons_csv(self):
        """Random tables in every dialect; what each column holds must be the same."""
        rng = random.Random(9)
        pieces = ["", "a", '"', ",", "\n", "\r\n", " ", "é", "蓝", "1", "x" * 70, '""', "0x10", "-"]
        for case in range(40):
            width, height = rng.randint(2, 6), rng.randint(1, 80)
            rows = [["".join(rng.choice(pieces) for _ in range(rng.randint(0, 5))) for _ in range(width)]
                    for _ in range(height)]
            rows = [r for r in rows if any(r)] or [["z"] * width]
            out = io.StringIO()
            writer = csv.writer(out, quoting=rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
                                lineterminator=rng.choice(["\n", "\r\n"]))
            names = ["column %d" % i for i in range(width)]
            writer.writerow(names)
            writer.writerows(rows)
            text = ("\ufeff" if case % 2 else "") + out.getvalue()
            quoted = {(i, k) for i, r in enumerate(csv_fields(out.getvalue())[1:]) for k, f in enumerate(r) if f == '""'}
            spec = write("texts.json", json.dumps({"features": [{"name": n, "kind": "category"} for n in names]}))
            got, printed, err = run("fit", "-", "--spec", spec, "--json", data=text)
            self.assertEqual(got, 0, err)
            result = json.loads(printed)
            self.assertEqual((result["records"], result["rejected"]), (len(rows), 0), text)
            for k, name in enumerate(names):
                values = collections.Counter(r[k] for i, r in enumerate(rows) if r[k] != "" or (i, k) in quoted)
                column = by_name(result)[name]
                self.assertEqual(column["count"], sum(values.values()))
                self.assertEqual(column["missing"], len(rows) - column["count"])
                self.assertEqual(column["distinct"], len(values))
                shown = {t["value"]: t["count"] for t in column["top"]}
                self.assertTrue(all(values[v] == n for v, n in shown.items()), (shown, values))

    def test_numbers_are_the_doubles_of_their_text(self):
        rng = random.Random(10)
        texts = ["0", "-0", "007.5", "+3", ".5", "5.", "-.25", "1e5", "1E-7", "-1.5e+300", "123456789012345678",
                 "9007199254740993", "0.1234567890123456789", "1234567.1234567", "12345678.12345678", "true", "FALSE",
                 " 8 ", "1" * 40, "0." + "3" * 60, "4.9e-324", "1e400"]
        for _ in range(400):
            digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 19)))
            at = rng.randint(0, len(digits))
            texts.append(rng.choice(["", "-"]) + digits[:at] + "." + digits[at:] if rng.random() < 0.8 else digits)
        texts = [t for t in texts if t not in ("1e400", ".", "-.")]
        names = ["n%d" % i for i in range(len(texts))]
        spec = write("numbers.json", json.dumps({"features": [{"name": n, "kind": "number"} for n in names]}))
        row = ",".join(texts) + "\n"
        result = by_name(report("-", "--spec", spec, data=",".join(names) + "\n" + row * 3))
        for name, text in zip(names, texts):
            value = {"true": 1.0, "FALSE": 0.0}.get(text)
            value = float(text) if value is None else value
            self.assertEqual((result[name]["min"], result[name]["max"]), (value, value), text)
        for text in ("1_000", "0x10", "1,5", "--1", "1e", "1.2.3", "٣", "12a", "-", ".", "1 2"):
            result = report("-", data='x,y\n%s"%s",3\n' % ("1,2\n" * 40, text))
            self.assertEqual((result["records"], result["rejected"]), (40, 1), text)
            self.assertIn("line 42", str(result["warnings"]))


def csv_fields(text):
    """Raw fields, quotes and all."""
    rows, row, field, inside = [], [], "", False
    for c in text.replace("\r\n", "\n") if '"' not in text else text:
        if c == '"':
            inside = not inside
        if not inside and c in ",\n":
            row.append(field.rstrip("\r") if c == "\n" else field)
            field = ""
            if c == "\n":
                rows.append(row)
                row = []
            continue
        field += c
    return rows


class Kinds(unittest.TestCase):
    def test_each_kind_is_told_with_its_reason(self):
        rng = random.Random(11)
        count = 400
        columns = {
            "price": ["%.2f" % rng.uniform(1, 9) for _ in range(count)],
            "user_id": list(range(count)),
            "session": ["%032x" % rng.getrandbits(128) for _ in range(count)],
            "item_id": [rng.randint(1, 30) for _ in range(count)],
            "zip": ["%05d" % rng.randint(0, 99) for _ in range(count)],
            "country": [rng.choice(["de", "fr", "it"]) for _ in range(count)],
            "review": [" ".join(rng.choice("good bad fine slow fast cheap".split()) for _ in range(8)) for _ in range(count)],
            "seen": ["2024-%02d-%02dT10:%02d:00Z" % (rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 59)) for _ in range(count)],
            "same": ["x"] * count, "zero": [0] * count, "none": [""] * count,
            "v.0": [rng.random() for _ in range(count)], "v.1": [rng.random() for _ in range(count)],
            "flag": [rng.choice(["true", "false"]) for _ in range(count)],
        }
        result = by_name(report("-", data=table(columns)))
        kinds = {n: c["kind"] for n, c in result.items()}
        self.assertEqual(kinds, {
            "price": "number", "user_id": "identifier", "session": "identifier", "item_id": "category",
            "zip": "category", "country": "category", "review": "text", "seen": "time", "same": "constant",
            "zero": "constant", "none": "constant", "v": "vector", "flag": "number"})
        self.assertTrue(all(c["reason"] for c in result.values()))

    def test_the_spec_is_a_feature_list_and_overrides_hold(self):
        with open(os.path.join(program.ROOT, "schemas", "bundle.schema.json"), encoding="utf-8") as file:
            schema = json.load(file)
        schema = {"$ref": "#/properties/features", "properties": schema["properties"], "$defs": schema["$defs"]}
        rng = np.random.default_rng(12)
        data = table({"a": rng.normal(size=500), "b": np.where(rng.random(500) < 0.1, np.nan, rng.normal(size=500)),
                      "c": rng.choice(["x", "y", "z"], 500), "d": rng.integers(0, 9, 500), "e": rng.exponential(size=500),
                      "y": rng.integers(0, 2, 500)})
        asked = write("asked.json", json.dumps({"features": [
            {"name": "d", "kind": "category", "encode": {"method": "hash", "buckets": 7}},
            {"name": "amount", "from": "e", "normalize": {"method": "minmax"}, "missing": {"policy": "reject"},
             "outlier": {"policy": "reject", "quantiles": [0.05, 0.95]}}, {"name": "a", "kind": "ignore"}]}))
        out = program.path("spec.json")
        fit("-", "--label", "y", "--spec", asked, "-o", out, data=data)
        with open(out, encoding="utf-8") as file:
            features = json.load(file)["features"]
        jsonschema.Draft202012Validator(schema).validate(features)
        self.assertEqual([f["name"] for f in features], ["b", "c", "d", "amount"])
        b, c, d, e = features
        self.assertEqual(b["missing"]["policy"], "indicator")
        self.assertEqual(set(c["encode"]["vocabulary"]), {"x", "y", "z"})
        self.assertEqual(sum(c["baseline"]["counts"]), 500)
        self.assertEqual(d["encode"], {"method": "hash", "buckets": 7})
        self.assertEqual(e["normalize"]["method"], "minmax")
        self.assertEqual((e["from"], e["missing"]["policy"], e["outlier"]["policy"]), ("e", "reject", "reject"))
        self.assertEqual(sum(b["baseline"]["counts"]), 500 - round(500 * b["baseline"]["missing_rate"]))
        _, err = fit("-", "--spec", write("bad.json", '{"features":[{"name":"q"}]}'), data=data, code=1)
        self.assertIn("no column `q`", err)
        hashed = fit("-", "--hash", "c", "-o", out, data=data)
        self.assertTrue(hashed)
        with open(out, encoding="utf-8") as file:
            self.assertNotIn("vocabulary", file.read())

    def test_hashed_and_dropped_columns_leave_no_text_behind(self):
        data = "mail,x,y\n" + "".join("u%d@example.org,%d.5,%d\n" % (i % 7, i, i % 2) for i in range(300))
        spec, page = program.path("hashed.json"), program.path("hashed.html")
        outs = [fit("-", "--label", "y", "--hash", "mail", "-o", spec, "--html", page, data=data)[0],
                fit("-", "--label", "y", "--hash", "mail", "--json", data=data)[0]]
        for name in (spec, page):
            with open(name, encoding="utf-8") as file:
                outs.append(file.read())
        for out in outs:
            self.assertIn("mail", out)
            self.assertNotIn("example.org", out)
        wish = write("wish.json", '{"features":[{"name":"mail","kind":"category"}]}')
        self.assertEqual(by_name(report("-", "--drop", "mail", "--spec", wish, data=data))["mail"]["kind"], "dropped")
        wish = write("wish.json", '{"features":[{"name":"mail","kind":"text"}]}')
        self.assertIn("to be hashed", fit("-", "--hash", "mail", "--spec", wish, data=data, code=1)[1])

    def test_wishes_that_cannot_be_met_are_refused(self):
        data = "x,c\n" + "".join("%d.5,%s\n" % (i, "ab"[i % 2]) for i in range(60))
        for wish, text in (({"name": "x", "normalise": {}}, "member `normalise`"),
                           ({"name": "z", "from": "x", "cross": ["c"]}, "a cross is of categories"),
                           ({"name": "cd", "from": "c", "cross": ["d"], "encode": {"method": "hash"}}, "`d`, which is no feature"),
                           ({"name": "c", "encode": {"method": "hash", "buckets": -1e300}}, "`buckets`"),
                           ({"name": "x", "normalize": {"method": "zcore"}}, "zcore")):
            spec, out = write("wish.json", json.dumps({"features": [wish]})), program.path("refused.json")
            _, err = fit("-", "--spec", spec, "-o", out, data=data, code=1)
            self.assertIn(text, err)
            self.assertFalse(os.path.exists(out), wish)

    def test_serving_normalizes_by_what_was_fitted(self):
        rng = np.random.default_rng(13)
        x = rng.normal(5, 3, size=900)
        out = program.path("served.json")
        fit("-", "-o", out, data=table({"x": x, "c": rng.choice(["p", "q"], 900)}))
        with open(out, encoding="utf-8") as file:
            features = json.load(file)["features"]
        graph, tensors = program.bundle.dense_graph([(np.ones((4, 1)), np.zeros(1))])
        manifest = program.bundle.make_manifest("served", "1", "regression", features, graph, "identity")
        manifest["golden"] = {"source": "none"}
        model = program.Model("served.safetensors", manifest, tensors)
        got, printed, err = run("score", model.path, "-", data=lines([{"x": float(v), "c": "p"} for v in x[:50]]))
        self.assertEqual(got, 0, err)
        for line, value in zip(printed.splitlines(), x):
            self.assertAlmostEqual(json.loads(line)["scores"][0], (value - x.mean()) / x.std() + 1, delta=1e-5)

    def test_json_and_avro_are_read_as_csv_is(self):
        rng = random.Random(14)
        records = [{"a": rng.choice([None, rng.random()]), "in": {"b": rng.randint(0, 99) + 0.5}, "c": rng.choice("xyz"),
                    "v": [rng.random(), rng.random()], "flag": rng.random() < 0.5} for _ in range(3000)]
        schema = {"type": "record", "name": "R", "fields": [
            {"name": "a", "type": ["null", "double"]},
            {"name": "in", "type": {"type": "record", "name": "I", "fields": [{"name": "b", "type": "double"}]}},
            {"name": "c", "type": "string"}, {"name": "v", "type": {"type": "array", "items": "double"}},
            {"name": "flag", "type": "boolean"}]}
        out = io.BytesIO()
        fastavro.writer(out, schema, records, codec="snappy", sync_interval=3000)
        text = table({"a": [float("nan") if r["a"] is None else r["a"] for r in records],
                      "in.b": [r["in"]["b"] for r in records], "c": [r["c"] for r in records],
                      "v.0": [r["v"][0] for r in records], "v.1": [r["v"][1] for r in records],
                      "flag": [str(r["flag"]).lower() for r in records]})
        want = by_name(report("-", data=text))
        for data, other in ((lines(records), ()), (out.getvalue(), ("v",))):
            got = by_name(report("-", data=data))
            self.assertEqual(set(got), set(want))
            for name, column in want.items():
                if name in other:  # an Avro array says nothing about its length
                    self.assertEqual(got[name]["kind"], "other")
                    continue
                self.assertEqual(got[name]["kind"], column["kind"])
                for key in ("count", "missing", "min", "max", "top", "distinct"):
                    self.assertEqual(got[name].get(key), column.get(key), (name, key))
                if "mean" in column:
                    self.assertAlmostEqual(got[name]["mean"], column["mean"], delta=1e-12 * abs(column["mean"]))


class BadData(unittest.TestCase):
    def test_what_cannot_be_fitted_is_said_with_its_place(self):
        wide = ",".join("c%d" % i for i in range(1000000)) + "\n"
        for data, text in (
                (b"", "is empty"), (b"\n\n", "is empty"), (b"a,b\n", "no records"), (b"a,a\n1,2\n", "twice"),
                (wide.encode() + wide.encode(), "1000000 columns"), (b"\xff\xfea\0", "UTF-16"), (b"[1]", "JSON array"),
                (b"a,b\n1\n2\n", "none of 2 records is good: stdin: line 2"), (b'a,b\n"1,2\n', "line 2"),
                (b"{}\n", "no column"), (b"PAR1", "Parquet"), (b'{"a":1\n', "JSON object")):
            _, err = fit("-", data=data, code=1)
            self.assertIn(text, err, data[:40])
            self.assertEqual(err.count("\n"), 1, err)
        _, err = fit(program.path("none.csv"), code=1)
        self.assertIn("none.csv", err)
        _, err = fit("-", "--label", "y", data=b"a\n1\n", code=1)
        self.assertIn("no column `y`", err)

    def test_bad_records_are_counted_with_line_and_column(self):
        good = "1,red\n" * 60
        for bad, text in (("x,red", 'line 62: a: "x" is not a number'), ("1", "line 62: 1 fields, the header has 2"),
                          ("1,2,3", "line 62: 3 fields"), ('1,"a"b', "line 62: a quote inside")):
            result = report("-", data="a,c\n%s%s\n%s" % (good, bad, good))
            self.assertEqual((result["records"], result["rejected"]), (120, 1))
            self.assertIn(text, str(result["warnings"]))
        result = report("-", data=b"a,c\n1,x\n1,\xff\n2,\xc3\xa9\n3,y\n")
        self.assertEqual(result["rejected"], 1)
        self.assertIn("line 3: c: bytes that are not UTF-8", str(result["warnings"]))
        result = report("-", data='{"a":1}\n{"a":"x"}\n{"a":2}\nnonsense\n')
        self.assertEqual((result["records"], result["rejected"]), (3, 1))

    def test_words_for_none_are_missing_among_numbers_and_texts_among_texts(self):
        rows = "".join("%s,%s,%s\n" % ("NA" if i % 5 == 0 else i + 0.25, "None" if i % 50 else "big", "NA" if i % 3 else "US")
                       for i in range(300))
        result = report("-", data="x,note,land\n" + rows)
        x, note, land = (by_name(result)[name] for name in ("x", "note", "land"))
        self.assertEqual((result["rejected"], x["kind"], x["missing"], x["count"]), (0, "number", 60, 240))
        self.assertAlmostEqual(x["mean"], np.mean([i + 0.25 for i in range(300) if i % 5]), delta=1e-12)
        self.assertIn({"column": "x", "text": "`NA` among its numbers counts as missing"}, result["warnings"])
        self.assertEqual({t["value"]: t["count"] for t in note["top"]}, {"None": 294, "big": 6})
        self.assertEqual({t["value"]: t["count"] for t in land["top"]}, {"NA": 200, "US": 100})

    def test_a_column_that_stops_being_numbers_is_named_with_what_to_do(self):
        data = "x,y\n" + "".join("%d.5,%d\n" % (i, i % 2) for i in range(30000)) + "red,1\n" * 3000
        result = report("-", data=data)
        self.assertEqual((result["records"], result["rejected"]), (30000, 3000))
        told = [w["text"] for w in result["warnings"] if w["column"] == "x"]
        self.assertTrue(any("3000 of 33000 records" in text and "--drop" in text for text in told), told)
        few = report("-", data=data.replace("red,1\n" * 3000, "red,1\n"))
        self.assertNotIn("give it", str(few["warnings"]))

    def test_a_column_of_numbers_with_many_texts_is_a_category_and_said_so(self):
        rows = ["%d" % i if i % 4 else "x%d" % (i % 8) for i in range(400)]
        result = report("-", data="n,c\n" + "".join("%s,a%d\n" % (v, i % 3) for i, v in enumerate(rows)))
        self.assertEqual(by_name(result)["n"]["kind"], "category")
        told = {w["column"]: w["text"] for w in result["warnings"]}
        self.assertIn('has numbers in 75 % of the first records', told.get("n", ""))
        self.assertNotIn("c", told)

    def test_whether_a_value_is_there_can_tell_the_label(self):
        rows = "".join("%s,%d\n" % ("" if i % 3 == 0 else i + 0.5, i % 3 == 0) for i in range(300))
        told = report("-", "--label", "y", data="x,y\n" + rows)["warnings"]
        self.assertTrue(any(w["column"] == "x" and "missing or not as the label says" in w["text"] for w in told), told)

    def test_names_and_separators_that_are_no_csv_in_utf8_are_refused(self):
        _, err = fit("-", data=b"a,caf\xe9\n1,2\n", code=1)
        self.assertIn("line 1: the name of column 2 is not UTF-8", err)
        for sign in ";\t|":
            _, err = fit("-", data="a%sb\n1%s2\n" % (sign, sign), code=1)
            self.assertIn("separated by commas", err)

    def test_what_json_cannot_hold_costs_no_warning(self):
        result = report("-", data=b"x,c\n" + b"2.5,a\n" * 40 + b"\xff\xfe,a\n")
        self.assertIn('x: "??" is not a number', str(result["warnings"]))
        result = report("-", data="x,c\n" + "".join("%d.5,ab%s\n" % (i, "é" * 30) for i in range(50)))
        self.assertIn("always `ab", by_name(result)["c"]["reason"])

    def test_labels_that_teach_nothing_or_too_much_are_warned_of(self):
        rng = np.random.default_rng(15)
        x, y = rng.normal(size=300), rng.integers(0, 2, 300)
        one = report("-", "--label", "y", data=table({"x": x, "y": np.ones(300, int)}))
        self.assertIn("the label is always 1", str(one["warnings"]))
        leak = report("-", "--label", "y", data=table({"x": x, "leak": 3 * y + 1, "word": np.where(y == 1, "on", "off"), "y": y}))
        told = {w["column"] for w in leak["warnings"] if "tells the label" in w["text"]}
        self.assertEqual(told, {"leak", "word"})
        rare = report("-", "--label", "y", data=table({"x": x, "y": (np.arange(300) < 2).astype(int)}))
        self.assertIn("class 1 has 2 of 300", str(rare["warnings"]))
        self.assertEqual({c["name"]: c["count"] for c in rare["classes"]}, {"0": 298, "1": 2})
        missing = report("-", "--label", "y", data="x,y\n1,0\n2,\n3,1\n")
        self.assertEqual(missing["rejected"], 1)

    def test_skew_against_an_earlier_spec(self):
        rng = np.random.default_rng(16)
        before = {"still": rng.normal(size=4000), "moves": rng.normal(size=4000), "word": rng.choice(["a", "b"], 4000),
                  "gone": rng.normal(size=4000)}
        now = {"still": rng.normal(size=4000), "moves": rng.normal(2, 1, size=4000),
               "word": rng.choice(["a", "c"], 4000)}
        spec = program.path("before.json")
        fit("-", "-o", spec, data=table(before))
        result = report("-", "--against", spec, data=table(now))
        verdicts = {s["column"]: s["verdict"] for s in result["skew"]}
        now["fresh"] = rng.normal(size=4000)
        with_new = report("-", "--against", spec, data=table(now))
        self.assertEqual({s["column"]: s["verdict"] for s in with_new["skew"]}, {**verdicts, "fresh": "new"})
        self.assertEqual(verdicts, {"still": "stable", "moves": "moved", "word": "moved", "gone": "absent"})
        psi = {s["column"]: s["psi"] for s in result["skew"]}
        with open(spec, encoding="utf-8") as file:
            edges = next(f for f in json.load(file)["features"] if f["name"] == "moves")["baseline"]
        p = np.bincount(np.searchsorted(edges["edges"], now["moves"], side="right"), minlength=10) / 4000
        q = np.array(edges["counts"]) / sum(edges["counts"])
        p, q = np.maximum(p, 1e-4), np.maximum(q, 1e-4)
        self.assertAlmostEqual(psi["moves"], ((p - q) * np.log(p / q)).sum(), delta=0.2)

    def test_the_page_holds_everything_and_no_markup_of_the_data(self):
        page = program.path("page.html")
        fit("-", "--html", page, data='a,"<script>b"\n1,<img src=x>\n2,<b>\n3,<b>\n')
        with open(page, encoding="utf-8") as file:
            text = file.read()
        for word in ("<script", "<img", "http", "src=", "@import"):
            self.assertNotIn(word, text.replace("&lt;img src=x", ""))
        self.assertIn("&lt;script&gt;b", text)
        self.assertIn("<svg", text)
        out, _ = fit("-", data="a\n1\n2\n")
        self.assertNotIn("\x1b", out)


class Memory(unittest.TestCase):
    def test_data_larger_than_memory_takes_little_of_it(self):
        """Ten gigabytes in the long form, through a pipe; here 100 MB."""
        total = (10 << 30) if os.environ.get("LEPTON_TEST_LONG") else 100 << 20
        rng = np.random.default_rng(17)
        columns = {"n%d" % i: rng.normal(size=20000) for i in range(20)}
        columns["id"] = ["%032x" % rng.integers(0, 2**63) for _ in range(20000)]
        columns["word"] = rng.choice(["a", "b", "c"], 20000)
        header, body = table(columns).encode().split(b"\n", 1)
        child = subprocess.Popen([program.LEPTON, "fit", "-", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        child.stdin.write(header + b"\n")
        for _ in range(total // len(body) + 1):
            child.stdin.write(body)
        child.stdin.close()
        result = json.loads(child.stdout.read())
        child.stdout.close()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
        self.assertEqual(status, 0)
        self.assertEqual(result["records"], 20000 * (total // len(body) + 1))
        if not os.environ.get("LEPTON_SANITIZED"):
            self.assertLess(usage.ru_maxrss, 256 << 10)
        got = by_name(result)["n0"]
        self.assertAlmostEqual(got["std"] / columns["n0"].std(), 1, delta=1e-12)
        self.assertAlmostEqual(got["quantiles"]["0.5"], np.median(columns["n0"]), delta=0.03)

    def test_many_columns_of_few_texts_take_little_of_it(self):
        header = ",".join("c%d" % i for i in range(4000))
        rows = [",".join("w%d" % (i * r % 5) for i in range(4000)) for r in range(40)]
        name = write("wide.csv", "\n".join([header] + rows) + "\n")
        child = subprocess.Popen([program.LEPTON, "fit", name, "--threads", "1"], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = status
        self.assertEqual(status, 0)
        if not os.environ.get("LEPTON_SANITIZED"):
            self.assertLess(usage.ru_maxrss, 256 << 10)


if __name__ == "__main__":
    unittest.main()
