"""Records damaged in ten ways, each with the stage and the field that must be blamed."""

from records import confluent_framing, encode_avro, schema

MAX_BYTES = 256  # input.record.max_bytes of the worker
UNKNOWN_ID = 987654


def reject_rules(features):
    """f7 may be infinite, f8 must be there, f9 must lie in bounds (wide: nothing random reaches them)."""
    features[7]["outlier"] = {"policy": "keep"}
    features[8]["missing"] = {"policy": "reject"}
    rule = features[9]["normalize"]
    features[9]["outlier"] = {"policy": "reject", "low": rule["mean"] - 1000 * rule["std"],
                              "high": rule["mean"] + 1000 * rule["std"]}


class Damage:
    """The ten ways: name -> (bytes, stage, field or None where no field is to blame)."""

    def __init__(self, registry, subject, framing):
        nullable = [{"name": "extra", "type": ["null", "float"]}]
        self._union = schema(more=nullable)
        self._union_framing = confluent_framing(registry.register(subject, self._union))
        self.framing = framing
        self.kinds = {
            "body cut": (lambda r: self._plain(r)[:-3], "decode", "f9"),
            "bytes after the record": (lambda r: self._plain(r) + b"\0\0", "decode", None),
            "wrong magic byte": (lambda r: b"\x07" + self._plain(r)[1:], "decode", None),
            "framing cut": (lambda r: self._plain(r)[:4], "decode", None),
            "unknown schema id": (lambda r: confluent_framing(UNKNOWN_ID) + self._plain(r)[5:], "decode", None),
            "union branch out of range": (self._bad_union, "decode", "extra"),
            "too long": (lambda r: self._plain(r) + bytes(MAX_BYTES + 44), "decode", None),
            "a value that must be there": (lambda r: self._plain({**r, "f8": float("nan")}), "clean", "f8"),
            "a value out of bounds": (lambda r: self._plain({**r, "f9": 1e30}), "clean", "f9"),
            "an infinite value that no score survives": (lambda r: self._plain({**r, "f7": float("inf")}), "infer", None),
        }

    def _plain(self, record):
        return encode_avro(schema(), [record], self.framing)[0]

    def _bad_union(self, record):
        whole = encode_avro(self._union, [{**record, "extra": None}], self._union_framing)[0]
        return whole[:-1] + b"\x12"  # branch 9 of two
