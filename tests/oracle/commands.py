"""Words of the language that oracle_publish reads."""
import json
import struct
import subprocess


def text(value):
    if value is None:
        return "~"
    return value.encode().hex() or "-"


def listed(values):
    if values is None:
        return "~"
    return ",".join(values) or "-"


def f32(value):
    return struct.pack(">f", value).hex()


def f64(value):
    return struct.pack(">d", value).hex()


def run(program, lines):
    """Answers, one a line."""
    answer = subprocess.run(program, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    answers = answer.stdout.splitlines()
    assert len(answers) == len(lines), (len(answers), len(lines), answer.stderr)
    return answers


def unframed(answer):
    body = bytes.fromhex(answer)
    assert body[:5] == b"\0\0\0\0\7", body[:5]
    return body[5:]


def same(got, want):
    """Equal, and of the same types; NaN equals NaN."""
    if isinstance(want, float):
        return got == want or (got != got and want != want)
    if isinstance(want, list):
        return isinstance(got, list) and len(got) == len(want) and all(map(same, got, want))
    if isinstance(want, dict):
        return got.keys() == want.keys() and all(same(got[key], want[key]) for key in want)
    return type(got) is type(want) and got == want


def finite_only(value):
    """JSON has no NaN: null stands for it."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, list):
        return [finite_only(item) for item in value]
    if isinstance(value, dict):
        return {key: finite_only(item) for key, item in value.items()}
    return value


def parse_json(answer):
    """As strict as RFC 8259: Python would take NaN."""
    def refuse(word):
        raise ValueError(word)

    return json.loads(bytes.fromhex(answer).decode(), parse_constant=refuse)
