"""What a bundle makes of texts, times, buckets, crosses and target means, against Python's own hands."""

import datetime
import json
import math
import random
import unittest

import numpy as np

import program
from program import lines, run, write


def fnv(data):
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    return value


def small(text):
    return "".join(c.lower() if c.isascii() else c for c in text)


def ngrams(text, encode):
    columns = [0.0] * encode["buckets"]
    if encode["unit"] == "character":
        tokens, glue = list(small(text)), ""
    else:
        words = "".join(c if not c.isascii() or c.isalnum() else " " for c in text)
        tokens, glue = [w for w in small(words).split(" ") if w], " "
    for n in range(encode["low"], encode["high"] + 1):
        for i in range(len(tokens) - n + 1):
            columns[fnv(glue.join(tokens[i:i + n]).encode()) % encode["buckets"]] += 1
    if encode["norm"] == "l2":
        length = math.sqrt(sum(c * c for c in columns))
        columns = [c / length if length else 0.0 for c in columns]
    return columns


def circle(part):
    return [math.sin(2 * math.pi * part), math.cos(2 * math.pi * part)]


def one(index, count):
    return [float(i == index) for i in range(count)]


def parts(ms, wanted):
    when = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=ms)
    day = (when - when.replace(hour=0, minute=0, second=0, microsecond=0)) / datetime.timedelta(days=1)
    made = {"hour": circle(day), "weekday": one(when.weekday(), 7), "weekend": [float(when.weekday() >= 5)],
            "month": one(when.month - 1, 12), "season": circle((when.timetuple().tm_yday - 1 + day) / 366)}
    return [x for part in ("hour", "weekday", "weekend", "month", "season") if part in wanted for x in made[part]]


class Features(unittest.TestCase):
    def model(self, features, width):
        graph, tensors = program.bundle.dense_graph([(np.full((width, 1), 0.001), np.zeros(1))])
        manifest = program.bundle.make_manifest("made", "1", "regression", features, graph, "identity")
        manifest["golden"] = {"source": "none"}
        return program.Model("made.safetensors", manifest, tensors)

    def columns(self, features, width, records):
        """Normalized columns of each feature, record by record."""
        model = self.model(features, width)
        code, out, err = run("score", model.path, "-", "--explain", data=lines(records))
        self.assertEqual(code, 0, err)
        return [[f["normalized"] for f in json.loads(line)["features"]] if "features" in line else json.loads(line)["error"]
                for line in out.splitlines()]

    def close(self, got, want):
        self.assertEqual(len(got), len(want))
        for a, b in zip(got, want):
            self.assertAlmostEqual(a, b, delta=1e-12)

    def test_texts_are_hashed_ngrams(self):
        rng = random.Random(1)
        alphabet = ["the", "Cat", "ÄRGER", "蓝", "x1", "!?", " ", "'s", "-", "\t", "😀", "GOOD"]
        texts = ["", "a", "good GOOD good", "don't stop"] + ["".join(rng.choice(alphabet) + rng.choice(["", " "])
                                                         for _ in range(rng.randint(0, 12))) for _ in range(60)]
        for unit in ("word", "character"):
            for low, high in ((1, 1), (1, 3), (2, 2)):
                for norm in ("none", "l2"):
                    encode = {"method": "ngrams", "unit": unit, "low": low, "high": high, "buckets": 37, "norm": norm}
                    feature = {"name": "t", "from": "t", "kind": "text", "missing": {"policy": "empty"}, "encode": encode}
                    got = self.columns([feature], 37, [{"t": t} for t in texts] + [{}])
                    for text, (columns,) in zip(texts + [""], got):
                        self.close(columns, ngrams(text, encode))

    def test_times_are_parts_of_the_date(self):
        rng = random.Random(2)
        stamps = [0, -1, 951782400000, 1709208000000, -62135596800000, 253402300799999] + \
            [rng.randint(-62135596800000, 253402300799999) for _ in range(300)]
        names = ["season", "hour", "month", "weekday", "weekend"]
        for wanted in (names, names[:1], names[3:]):
            width = len(parts(0, wanted))
            feature = {"name": "w", "from": "w", "kind": "time", "missing": {"policy": "value", "value": 86400000},
                       "parts": wanted}
            got = self.columns([feature], width, [{"w": s} for s in stamps] + [{}, {"w": 1e300}, {"w": "1970-01-02T00:00:00Z"}])
            for stamp, (columns,) in zip(stamps + [86400000] * 3, got):
                self.close(columns, parts(stamp, wanted))

    def test_missing_policies_of_both(self):
        text = {"name": "t", "from": "t", "kind": "text", "missing": {"policy": "indicator"},
                "encode": {"method": "ngrams", "unit": "word", "low": 1, "high": 1, "buckets": 2, "norm": "none"}}
        time = {"name": "w", "from": "w", "kind": "time", "missing": {"policy": "indicator", "value": 0}, "parts": ["weekend"]}
        got = self.columns([text, time], 5, [{}, {"t": "a", "w": 172800000}])
        self.assertEqual(got[0], [[0, 0, 1], [0, 1]])
        self.assertEqual(got[1][1], [1, 0])
        self.assertEqual(sum(got[1][0]), 1)
        text["missing"]["policy"] = "reject"
        self.assertEqual(self.columns([text], 2, [{}])[0]["field"], "t")

    def test_buckets_crosses_and_target_means(self):
        edges = [-1.5, 0.0, 2.0]
        number = {"name": "n", "from": "n", "kind": "number", "missing": {"policy": "value", "value": 1.0},
                  "normalize": {"method": "buckets", "edges": edges}}
        country = {"name": "country", "from": "c", "kind": "category", "missing": {"policy": "indicator"},
                   "encode": {"method": "hash_onehot", "buckets": 5}}
        device = {"name": "device", "from": "d", "kind": "category", "missing": {"policy": "value", "value": "tv"},
                  "encode": {"method": "target", "vocabulary": ["tv", "phone"], "values": [0.25, 0.75], "prior": 0.5}}
        cross = {"name": "both", "from": "c", "kind": "category", "missing": {"policy": "indicator"}, "cross": ["device"],
                 "encode": {"method": "hash_onehot", "buckets": 11}}
        features = [number, country, device, cross]
        width = 4 + 6 + 1 + 12
        cases = [(n, c, d) for n in (-9, -1.5, -0.1, 0, 2, 7, None) for c in ("de", "fr", "", None)
                 for d in ("tv", "phone", "watch", None)]
        got = self.columns(features, width, [{k: v for k, v in zip("ncd", case) if v is not None} for case in cases])
        for (n, c, d), (buckets, onehot, target, both) in zip(cases, got):
            self.assertEqual(buckets, one(sum(e <= (1.0 if n is None else n) for e in edges), 4))
            self.assertEqual(onehot, one(-1 if c is None else fnv(c.encode()) % 5, 5) + [float(c is None)])
            self.assertEqual(target, [{"tv": 0.25, "phone": 0.75, "watch": 0.5, None: 0.25}[d]])
            gone = c is None or d is None
            self.assertEqual(both, one(-1 if gone else fnv((c + "\x1f" + d).encode()) % 11, 11) + [float(gone)])

    def test_what_makes_no_sense_is_refused_by_name(self):
        hashed = {"method": "hash", "buckets": 3}
        text = {"method": "ngrams", "unit": "word", "low": 1, "high": 2, "buckets": 4, "norm": "l2"}
        country = {"name": "c", "from": "c", "kind": "category", "missing": {"policy": "indicator"}, "encode": hashed}
        cases = [
            ([{"name": "t", "from": "t", "kind": "text"}], "`encode` is missing"),
            ([{"name": "t", "from": "t", "kind": "text", "encode": dict(text, low=3)}], "high"),
            ([{"name": "t", "from": "t", "kind": "text", "encode": dict(text, buckets=1 << 20)}], "buckets"),
            ([{"name": "t", "from": "t", "kind": "text", "encode": text, "baseline": {}}], "baseline"),
            ([{"name": "w", "from": "w", "kind": "time", "parts": []}], "`parts` is empty"),
            ([{"name": "w", "from": "w", "kind": "time", "parts": ["hour", "hour"]}], "twice"),
            ([{"name": "w", "from": "w", "kind": "time", "parts": ["minute"]}], "none of"),
            ([{"name": "n", "from": "n", "kind": "number", "normalize": {"method": "buckets", "edges": [1, 1]}}], "not above"),
            ([{"name": "n", "from": "n", "kind": "number", "normalize": {"method": "buckets", "edges": []}}], "empty"),
            ([{"name": "v", "from": "v", "kind": "vector", "width": 2, "normalize": {"method": "buckets", "edges": [1]}}], "single"),
            ([dict(country, cross=["d"])], "no feature"), ([dict(country, cross=["c"])], "another category"),
            ([dict(country, cross=[])], "0 names"),
            ([dict(country, encode={"method": "target", "vocabulary": ["a"], "values": [1, 2], "prior": 0})], "2 values"),
            ([dict(country, cross=["d"], missing={"policy": "value", "value": ""}), dict(country, name="d")], "no value"),
            ([dict(country, cross=["d"], encode={"method": "onehot", "vocabulary": ["a"]}), dict(country, name="d")], "hash"),
        ]
        for features, text in cases:
            model = self.model(features, 7)
            code, _, err = run("inspect", model.path)
            self.assertEqual(code, 1)
            self.assertIn(text, err)

    def test_fit_makes_them(self):
        rng = random.Random(3)
        count = 600
        records = [{"review": " ".join(rng.choice("good bad fine slow cheap".split()) for _ in range(9)),
                    "at": "2024-%02d-%02d %02d:00" % (rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23)),
                    "country": rng.choice(["de", "fr"]), "device": rng.choice(["tv", "phone"]), "age": rng.randint(1, 99),
                    "y": rng.randint(0, 1)} for _ in range(count)]
        text = "review,at,country,device,age,y\n" + "".join("%s\n" % ",".join(str(v) for v in r.values()) for r in records)
        asked = write("ask.json", json.dumps({"features": [
            {"name": "country", "encode": {"method": "target"}}, {"name": "age", "normalize": {"method": "buckets", "count": 4}},
            {"name": "pair", "from": "country", "cross": ["device"], "encode": {"method": "hash_onehot", "buckets": 16}}]}))
        out = program.path("made.json")
        code, _, err = run("fit", write("made.csv", text), "--label", "y", "--spec", asked, "-o", out)
        self.assertEqual(code, 0, err)
        with open(out, encoding="utf-8") as file:
            features = json.load(file)["features"]
        kinds = {f["name"]: f for f in features}
        self.assertEqual([f["kind"] for f in features], ["text", "time", "category", "category", "category", "number"])
        self.assertEqual(kinds["at"]["parts"], ["hour", "weekday", "season"])
        prior = sum(r["y"] for r in records) / count
        for word, value in zip(kinds["country"]["encode"]["vocabulary"], kinds["country"]["encode"]["values"]):
            ys = [r["y"] for r in records if r["country"] == word]
            self.assertAlmostEqual(value, (sum(ys) + 20 * prior) / (len(ys) + 20), delta=1e-12)
        edges = kinds["age"]["normalize"]["edges"]
        ages = np.array([r["age"] for r in records])
        self.assertEqual(edges, [np.quantile(ages, q) for q in (0.25, 0.5, 0.75)])
        width = 256 + 11 + 1 + 17 + 3 + 4
        model = self.model(features, width)
        code, out, err = run("score", model.path, program.path("made.csv"), "--explain")
        self.assertEqual(code, 0, err)
        first = json.loads(out.splitlines()[0])["features"]
        self.close(first[0]["normalized"], ngrams(records[0]["review"], kinds["review"]["encode"]))
        when = datetime.datetime.strptime(records[0]["at"], "%Y-%m-%d %H:%M")
        self.close(first[1]["normalized"],
                   parts((when - datetime.datetime(1970, 1, 1)) / datetime.timedelta(milliseconds=1), kinds["at"]["parts"]))


if __name__ == "__main__":
    unittest.main()
