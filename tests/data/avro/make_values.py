#!/usr/bin/env python3
"""Writes values.inc: single values with the answers of Python (decimal, fractions, the UTF-8 codec).

    python3 tests/data/avro/make_values.py > tests/data/avro/values.inc
"""
import random
from decimal import Decimal, getcontext
from fractions import Fraction

random.seed(20240601)
getcontext().prec = 2000


def c_bytes(raw):
    return "".join(f"\\x{byte:02x}" for byte in raw)


def decimals():
    print("/* unscaled two's complement, bytes, scale, value */")
    print("static const struct decimal_case DECIMALS[] = {")
    for _ in range(200):
        size = random.choice([1, 2, 4, 7, 8, 9, 12, 16, 17, 32, 64, 200, 256])
        raw = random.randbytes(size)
        if random.random() < 0.2:
            raw = random.choice([b"\x00", b"\xff"]) * random.randrange(1, 9) + raw[:16]
        scale = random.choice([0, 1, 2, 3, 9, 18, 22, 23, 30, 60, 300, 700])
        value = float(Fraction(int.from_bytes(raw, "big", signed=True), 10**scale)) if abs(
            int.from_bytes(raw, "big", signed=True)) < 10 ** (scale + 308) else float(
            f"{int.from_bytes(raw, 'big', signed=True)}e-{scale}")
        shown = "INFINITY" if value == float("inf") else "-INFINITY" if value == float("-inf") else value.hex()
        print(f'    {{"{c_bytes(raw)}", {len(raw)}, {scale}, {shown}}},')
    print("};\n")


def times():
    print("/* value, divisor (per millisecond), milliseconds */")
    print("static const struct time_case TIMES[] = {")
    for per, unit in ((1, "LP_AVRO_MILLIS"), (1000, "LP_AVRO_MICROS"), (1000000, "LP_AVRO_NANOS")):
        for _ in range(40):
            value = random.choice([random.randrange(-2**62, 2**62), random.randrange(1600000000000, 1800000000000) * per + random.randrange(per)])
            print(f"    {{INT64_C({value}), {unit}, {float(Fraction(value, per)).hex()}}},")
    print("};\n")


def texts():
    print("/* bytes, length, is it UTF-8? */")
    print("static const struct utf8_case TEXTS[] = {")
    alphabet = ["a", "é", "€", "\U0001f600", "߿", "ࠀ", "￿", "\U0010ffff", "\ud7ff", "\ue000"]
    for i in range(300):
        raw = bytearray("".join(random.choice(alphabet) for _ in range(random.randrange(0, 12))).encode())
        if raw and i % 3 != 0:
            for _ in range(random.randrange(1, 3)):
                raw[random.randrange(len(raw))] = random.choice([0x80, 0xbf, 0xc0, 0xc1, 0xc2, 0xe0, 0xed, 0xa0, 0xf0, 0xf4, 0x90, 0xf5, 0xff, 0x41])
        if raw and i % 5 == 0:
            del raw[random.randrange(len(raw)):]
        try:
            bytes(raw).decode("utf-8")
            valid = "true"
        except UnicodeDecodeError:
            valid = "false"
        print(f'    {{"{c_bytes(raw)}", {len(raw)}, {valid}}},')
    print("};")


def main():
    print("/* Written by make_values.py. */\n/* clang-format off */")
    decimals()
    times()
    texts()
    print("/* clang-format on */")


if __name__ == "__main__":
    main()
