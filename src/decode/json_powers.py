#!/usr/bin/env python3
"""Writes json_powers.c: 5^q to 128 bits for q in [-342, 308], as the Eisel-Lemire algorithm needs them.

D. Lemire, "Number parsing at a gigabyte per second", Software: Practice and Experience 51(8), 2021, section 5:
truncated for q >= 0, rounded up for q < 0, highest bit set. Usage: json_powers.py > json_powers.c
"""


def power(q):
    if q >= 0:
        five = 5**q
        return five << (128 - five.bit_length()) if five.bit_length() <= 128 else five >> (five.bit_length() - 128)
    five = 5**-q
    bits = five.bit_length()
    if five == 1 << (bits - 1):
        bits -= 1
    if q >= -27:
        return 2 ** (bits + 127) // five + 1
    c = 2 ** (2 * bits + 128) // five + 1
    return c >> (c.bit_length() - 128)


print("/* Written by json_powers.py: do not edit. */")
print('#include "decode/json_number.h"\n')
print("/* clang-format off */")
print("const uint64_t lp_json_powers[LP_JSON_POWER_MAX - LP_JSON_POWER_MIN + 1][2] = {")
for q in range(-342, 309):
    value = power(q)
    assert value.bit_length() == 128
    print("    {0x%016x, 0x%016x}, /* %d */" % (value >> 64, value & (2**64 - 1), q))
print("};")
