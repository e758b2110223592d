"""Asymmetric ciphers: who encrypts, who signs, how long keys are, and the hybrid of both kinds."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, between, claim, first, near, same
from testbed.programs.payments import LETTER, PAYMENT

from .exchanges import CLIENT, accepted, fields, readable, said, sizes, told
from .opening import opens

RSA_BITS, CURVE_BITS = 2048, 256
"""Their strengths: 112 bits, and 128 bits."""

OAEP_BYTES = 2 * 32 + 2
"""What the padding takes of an RSA block, with SHA-256."""

GCM_TAG_BYTES, AES_KEY_BYTES = 16, 32

DER_BYTES = 6
"""An (EC)DSA signature is two numbers; their encoding adds six bytes, and a zero before each that
begins with a one."""


class Asymmetric(Experiment):
    """Asymmetric ciphers: who encrypts, who signs, how long keys are, and the hybrid of both."""

    @claim(
        "What is encrypted with a public key can be decrypted only with its private key; the "
        "public key may be sent in the clear.",
        source="RFC 8017 §7.1",
    )
    def public_encrypts_private_decrypts(self, tables: Tables) -> Verdict:
        """h2 sends its public key; the private keys of both hosts are tried on h1's message."""
        return all_of(
            same(readable(tables, "public-key", PAYMENT), False, "readable at r1"),
            same(
                opens(tables, "public-key"),
                {"h2-RSA": [PAYMENT], "h1-RSA": []},
                "opened with the private key",
            ),
            at_least(
                sizes(tables, "public-key", "server").get("public_key", 0),
                RSA_BITS // 8,
                unit="bytes of public key in the clear",
            ),
            same(accepted(tables, "public-key"), [True], "accepted by h2"),
        ).because("the encrypted message", said(tables, "public-key"))

    @claim(
        "RSA encrypts only what is shorter than its key. So a new symmetric key is encrypted with "
        "RSA, and the message, however long, with that key.",
        source="RFC 8017 §7.1.1; RFC 5652 §6",
    )
    def hybrid_joins_both(self, tables: Tables) -> Verdict:
        """The sizes of the parts, and who can open them."""
        rows = told(tables, "hybrid", CLIENT)
        refused = rows.get("too_long_bytes", rows["step"].iloc[:0]).dropna().tolist()
        parts = sizes(tables, "hybrid")
        found = {name: parts.get(name) for name in ("wrapped_key", "ciphertext")}
        wanted = {"wrapped_key": RSA_BITS // 8, "ciphertext": len(LETTER) + GCM_TAG_BYTES}
        return all_of(
            at_least(len(LETTER), RSA_BITS // 8 - OAEP_BYTES + 1, unit="bytes in the letter"),
            same([int(n) for n in refused], [len(LETTER)], "too long for RSA"),
            same(found, wanted, "bytes"),
            same(
                {key: texts == [LETTER] for key, texts in opens(tables, "hybrid").items()},
                {"h2-RSA": True, "h1-RSA": False},
                "opened with the private key",
            ),
            same(accepted(tables, "hybrid"), [True], "accepted by h2"),
        ).because("key and letter", said(tables, "hybrid"))

    @claim(
        "A signature by RSA, DSA or ECDSA fits the text it was made for; with one byte of the text "
        "changed it is refused.",
        source="RFC 8017 §8.1; FIPS 186-4 §4, §6",
    )
    def signatures_refuse_changes(self, tables: Tables) -> Verdict:
        """h2's answers, and the signatures in the capture checked again."""
        found = {step: _valid(tables, step) for step in ("signed", "signed-changed")}
        names = ("RSA", "DSA", "ECDSA")
        wanted = {
            "signed": dict.fromkeys(names, True),
            "signed-changed": dict.fromkeys(names, False),
        }
        return all_of(
            same(found, wanted, "fits"),
            same(accepted(tables, "signed"), [True], "accepted by h2"),
            same(accepted(tables, "signed-changed"), [False], "changed, accepted by h2"),
        ).because("signed messages", said(tables, "signed-changed"))

    @claim(
        "Elliptic curves need much shorter keys and signatures than RSA: a curve of 256 bits is "
        "stronger than RSA with 2048; only with 3072 is RSA as strong.",
        source="NIST SP 800-57 part 1 §5.6.1.1, table 2",
    )
    def curves_need_shorter_keys(self, tables: Tables) -> Verdict:
        """Lengths of keys, and of the signatures in the capture."""
        keys = tables.of("keys")
        found = {}
        for name in ("h1-RSA", "h1-ECDSA"):
            row = first(keys[keys["name"] == name], f"key '{name}'")
            found[name] = int(row["bits"])
        signature = sizes(tables, "signed")
        two_numbers = 2 * CURVE_BITS // 8
        return all_of(
            same(found, {"h1-RSA": RSA_BITS, "h1-ECDSA": CURVE_BITS}, "bits of the key"),
            near(signature.get("RSA"), RSA_BITS // 8, abs=0, unit="bytes", what="RSA signature"),
            between(
                signature.get("ECDSA"),
                two_numbers - DER_BYTES,
                two_numbers + DER_BYTES + 2,
                unit="bytes",
                what="ECDSA signature",
            ),
        ).because("public keys", keys[["name", "bits", "octets"]])


def _valid(tables: Tables, step: str) -> dict[str, bool]:
    """Algorithm → its signature in the capture fits the text beside it."""
    rows = tables.of("checked", step=step, key="h1's")
    fields(tables, step)  # the messages are there
    return {str(k): bool(v) for k, v in zip(rows["kind"], rows["valid"], strict=True)}
