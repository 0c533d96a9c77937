#!/usr/bin/env python3
"""Signatures by the openssl program -> signature_cases.inc.

    python3 tests/unit/control/make_signatures.py      needs openssl 3

The keys are those of RFC 8032, section 7.1, tests 1 and 2; what is signed is control/signature.h's text.
"""
import base64
import hashlib
import os
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
SEEDS = ("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = ("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
          "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SHA256 = ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
          "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b")
PKCS8 = bytes.fromhex("302e020100300506032b657004220420")
SPKI = bytes.fromhex("302a300506032b6570032100")


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, stdout=subprocess.PIPE).stdout


def c_text(text):
    return "\n".join('    "%s\\n"' % line for line in text.splitlines())


def main():
    lines = ["/* Made by make_signatures.py with %s. */" % openssl("version").decode().split(" (")[0]]
    with tempfile.TemporaryDirectory() as folder:
        path = lambda name: os.path.join(folder, name)
        for index, (seed, public) in enumerate(zip(SEEDS, PUBLIC)):
            with open(path("key.der"), "wb") as file:
                file.write(PKCS8 + bytes.fromhex(seed))
            private = openssl("pkey", "-inform", "DER", "-in", path("key.der"))
            with open(path("key.pem"), "wb") as file:
                file.write(private)
            spki = openssl("pkey", "-in", path("key.pem"), "-pubout", "-outform", "DER")
            assert spki == SPKI + bytes.fromhex(public), "not RFC 8032's key"
            lines.append("static const char private_%d[] =\n%s;" % (index, c_text(private.decode())))
            lines.append("static const char public_%d[] =\n%s;" % (
                index, c_text(openssl("pkey", "-in", path("key.pem"), "-pubout").decode())))
            for which, digest in enumerate(SHA256):
                with open(path("text"), "w", encoding="ascii") as file:
                    file.write("lepton-bundle-v1:" + digest)
                signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", path("key.pem"), "-in", path("text"))
                lines.append('static const char signature_%d_%d[] =\n    "%s:"\n    "%s";' % (
                    index, which, hashlib.sha256(spki).hexdigest()[:16], base64.b64encode(signature).decode()))
    lines.append("static const char *const digests[] = {\n%s};" % "".join('    "%s",\n' % d for d in SHA256))
    with open(os.path.join(HERE, "signature_cases.inc"), "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
