#!/usr/bin/env python3
"""Writes json_numbers.inc and json_documents.inc: what Python's json module makes of numbers and damaged documents.

Numbers: {text, bits of the double}. Documents: {bytes, valid, bits of number a, bits of number n.b[1], text t}, with
strictness where Python has none: no NaN and Infinity, whole surrogate pairs, the first of duplicate keys, an object at
the top. Usage: make_json_cases.py FOLDER
"""
import json
import math
import os
import random
import struct
import sys
from fractions import Fraction

random.seed(20130101)


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def double(word):
    return struct.unpack("<d", struct.pack("<Q", word))[0]


def exact(fraction, extra=""):
    """All decimal digits of a dyadic fraction in [0, inf)."""
    whole, rest = divmod(fraction.numerator, fraction.denominator)
    places = fraction.denominator.bit_length() - 1
    if not places:
        return str(whole) + (".0" + extra if extra else "")
    digits = str(rest * 10**places // fraction.denominator).rjust(places, "0")
    return "%d.%s%s" % (whole, digits, extra)


def numbers():
    yield from ["0", "-0", "0.0", "-0.0", "0e0", "0E+5", "-0e-5", "1", "-1", "10", "1e0", "1E2", "1e+2", "1e-2", "0.1"]
    yield from ["123456789", "1234567890123456789", "12345678901234567890", "9007199254740992", "9007199254740993"]
    yield from ["9007199254740991", "-9007199254740993", "18446744073709551615", "18446744073709551616"]
    yield from ["9999999999999999999", "99999999999999999999", "9223372036854775807", "1e22", "1e23", "9007199254740993e-22"]
    yield from ["1.7976931348623157e308", "1.7976931348623158e308", "179769313486231580793" + "0" * 288, "2.2250738585072014e-308"]
    yield from ["2.2250738585072011e-308", "2.225073858507201136057409796709131975934819546351645648023426109724822e-308"]
    yield from ["4.9406564584124654e-324", "5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324", "1e-400", "-1e-400"]
    yield from ["3e-324", "1e-323", "0e999999999999", "0.000000000000000000000000000000000000000000001e45", "1" + "0" * 400 + "e-400"]
    yield from ["0." + "0" * 400 + "1e401", "1" * 19, "1" * 20, "1" * 900 + "e-850", "0." + "3" * 1000, "8" * 310 + "e-2"]
    yield from ["0.5" + "0" * 900, "0.5" + "0" * 900 + "1", "1e00000000000000000000000000002", "1e-00000000000000000000000000002"]
    for count in range(1, 25):
        for _ in range(12):
            digits = "".join(random.choice("0123456789") for _ in range(count))
            at = random.randrange(count + 1)
            text = (digits[:at].lstrip("0") or "0") + ("." + digits[at:] if at < count else "")
            if random.random() < 0.4:
                text += "%s%s%d" % (random.choice("eE"), random.choice(["", "+", "-"]), random.randrange(60))
            yield random.choice(["", "-"]) + text
    for _ in range(400):
        value = abs(double(random.getrandbits(64)))
        if math.isfinite(value):
            yield repr(value)
            yield "%.16e" % value
    for _ in range(200):
        yield repr(random.random())
        yield "%.17g" % random.uniform(-1000, 1000)
        yield "%.6f" % random.random()
    for word in [1, 2, 3, 2**52 - 1, 2**52, 2**52 + 1, bits(1.0), bits(1.0) - 1, bits(0.1), bits(1e16), bits(2.0**63), bits(1e-5)] + [
        random.randrange(bits(1e-8), bits(1e25)) for _ in range(60)
    ]:
        middle = (Fraction(double(word)) + Fraction(double(word + 1))) / 2
        yield exact(middle)
        yield exact(middle, "0000000000000000000001")
        yield exact(middle - Fraction(1, 2**1100))
    for _ in range(150):
        value = random.randrange(2**53, 2**63)
        yield str(value)
        yield str(value) + "e-%d" % random.randrange(1, 40)


def first_wins(pairs):
    result = {}
    for key, value in pairs:
        result.setdefault(key, value)
    return result


def no_constant(name):
    raise ValueError(name)


def whole_pairs(value):
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            item.encode("utf-8")
        elif isinstance(item, list):
            stack += item
        elif isinstance(item, dict):
            stack += list(item.keys()) + list(item.values())


def finite(text):
    value = float(text)
    if not math.isfinite(value):
        raise OverflowError
    return value


def track(pairs):
    for key, value in pairs:
        whole_pairs([key, value])
    return first_wins(pairs)


def judge(data):
    """(valid, a, b, t) or None where the two sides define different things."""
    try:
        root = json.loads(
            data.decode("utf-8"), object_pairs_hook=track, parse_constant=no_constant, parse_float=finite, parse_int=finite
        )
    except OverflowError:
        return None
    except (ValueError, RecursionError):
        return False, None, None, None
    if not isinstance(root, dict):
        return False, None, None, None

    def number(value):
        if value is None:
            return None
        if isinstance(value, (dict, list, str)):
            raise TypeError
        return float(value)

    try:
        a = number(root.get("a"))
        n = root.get("n")
        b = None
        if n is not None:
            if not isinstance(n, dict):
                raise TypeError
            items = n.get("b")
            if items is not None:
                if not isinstance(items, list):
                    raise TypeError
                b = number(items[1]) if len(items) > 1 else None
        t = root.get("t")
        if t is not None and not isinstance(t, str):
            return None  # the characters as they stand: not Python's business
    except TypeError:
        return False, None, None, None
    return True, a, b, t


SEEDS = [
    b'{"a":1.5,"n":{"b":[1,2.25,3]},"t":"x"}',
    b'{ "id" : "k\\u00e9y" , "a" : -12 , "skip" : [ { "a" : [ ] } , null , true ] , "n" : { "b" : [ 0 , 7e1 ] } , "t" : "" }',
    b'{"t":"a\\"\\\\\\/\\b\\f\\n\\r\\t\\ud83d\\ude00","\\u0061":3,"a":4,"n":{"c":{"b":[9]},"b":[5,6],"b":[7,8]}}',
    '{"k\u00fc":"\u4e2d\u6587\U0001f600","a":0.125,"t":"\u00e9\u20ac","n":null}'.encode(),
    b'{"a":true,"n":{"b":[false,false]},"t":"long enough to pass one vector of sixteen","u":{"v":{"w":[[[]]]}}}',
    b'\t{\n"a"\r:\t1\n,\n"n":{},"t":null\n}\n',
]
BYTES = b'{}[]:,"\\0123456789.-+eEtrufalsn \t\n\x00\x1f\x7f\x80\xc3\xa9\xe2\xed\xa0\xf0\xff/u'


def documents():
    for seed in SEEDS:
        yield seed
        for cut in range(len(seed)):
            if cut % 3 == 0:
                yield seed[:cut]
    for _ in range(2000):
        data = bytearray(random.choice(SEEDS))
        for _ in range(random.choice([1, 1, 1, 2, 3])):
            at = random.randrange(len(data))
            kind = random.randrange(4)
            if kind == 0:
                del data[at]
            elif kind == 1:
                data.insert(at, random.choice(BYTES))
            elif kind == 2:
                data[at] = random.choice(BYTES)
            else:
                start = random.randrange(len(data))
                data[at:at] = data[start : start + random.randrange(1, 12)]
        yield bytes(data)


def c_string(data):
    return '"' + "".join("\\%03o" % c if c < 0x20 or c > 0x7E or c in b'"\\?' else chr(c) for c in data) + '"'


def main(folder):
    with open(os.path.join(folder, "json_numbers.inc"), "w") as out:
        out.write("/* Written by make_json_cases.py: do not edit. */\n")
        for text in dict.fromkeys(numbers()):
            value = json.loads(text, parse_int=float)
            if math.isfinite(value):
                out.write('{"%s", 0x%016xu},\n' % (text, bits(value)))
    counts = [0, 0]
    with open(os.path.join(folder, "json_documents.inc"), "w") as out:
        out.write("/* Written by make_json_cases.py: do not edit. */\n")
        for data in dict.fromkeys(documents()):
            verdict = judge(data)
            if verdict is None:
                continue
            valid, a, b, t = verdict
            counts[valid] += 1
            # Of the many broken ones a sample is enough.
            if not valid and counts[0] % 4:
                continue
            nan = 0x7FF8000000000000
            text = "NULL, 0" if t is None else "%s, %d" % (c_string(t.encode()), len(t.encode()))
            out.write(
                "{%s, %d, %s, 0x%016xu, 0x%016xu, %s},\n"
                % (c_string(data), len(data), "true" if valid else "false", nan if a is None else bits(a), nan if b is None else bits(b), text)
            )
    print(counts)


main(sys.argv[1])
