"""Symmetric ciphers: sizes, modes, nonces, and what encryption alone does not give."""

from __future__ import annotations

from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    claim,
    holds,
    presuming,
    same,
)
from testbed.programs.payments import CHANGED, GREETING, PAYMENT

from . import facts
from .exchanges import BEHIND, accepted, fields, octets, readable, said, texts
from .opening import STRANGER, opens

SIZES = {
    "DES": (8, 64, 56),
    "3DES": (8, 192, 168),
    "AES-128": (16, 128, 128),
    "AES-192": (16, 192, 192),
    "AES-256": (16, 256, 256),
}
"""Cipher → bytes of a block, bits of a key, bits of it that matter."""

ANSWERS = {
    "DES": "85e813540f0ab405",
    "3DES": "85e813540f0ab405",
    "AES-128": "69c4e0d86a7b0430d8cdb78070b4c55a",
}


class Symmetric(Experiment):
    """Symmetric ciphers: sizes, modes, nonces, and what encryption alone does not give."""

    @claim(
        "DES has blocks of 64 bits and a key of 56 bits, triple DES three such keys; AES has "
        "blocks of 128 bits and keys of 128, 192 or 256 bits. Triple DES with equal keys is DES.",
        source="FIPS 46-3; NIST SP 800-67 §2–3; FIPS 197 §1, appendix C.1",
    )
    def ciphers_have_block_and_key_sizes(self, tables: Tables) -> Verdict:
        """One padded byte, each bit of the key changed in turn, and ciphertexts in print."""
        columns = ["one_byte_becomes", "key_bits", "used_bits"]
        rows = tables.of("cipher")
        found = {row["cipher"]: tuple(int(row[c]) for c in columns) for _, row in rows.iterrows()}
        answers = tables.of("answer")
        right = dict(zip(answers["cipher"], answers["found"], strict=True))
        return presuming(
            same([*found, *right], [*SIZES, *ANSWERS], "tried"),
            same(found, SIZES, "block bytes, key bits, bits that matter"),
            same(right, ANSWERS, "known answers"),
        ).because("bytes of a block, bits of a key, bits that matter", rows[["cipher", *columns]])

    @claim(
        "A symmetric cipher hides a message from everybody who lacks its key; both sides must have "
        "the same key beforehand.",
        source="RFC 4949, “symmetric cryptography”; RFC 5116 §1",
    )
    def one_key_for_both(self, tables: Tables) -> Verdict:
        """The same payment in the clear and with AES-256-GCM; two keys are tried on it."""
        visible = {step: readable(tables, step, PAYMENT) for step in ("plain", "secret-key")}
        return all_of(
            same(visible, {"plain": True, "secret-key": False}, "readable at r1"),
            same(
                opens(tables, "secret-key"),
                {"shared": [PAYMENT], STRANGER: []},
                "opened with the key",
            ),
            same(accepted(tables, "secret-key"), [True], "accepted by h2"),
        ).because("the encrypted message", said(tables, "secret-key"))

    @claim(
        "ECB encrypts equal blocks to equal blocks, so that a picture can still be seen. Chained "
        "blocks (CBC) and a counter (CTR) hide it.",
        source="NIST SP 800-38A §6.1, §6.2, §6.5",
    )
    def ecb_leaks(self, tables: Tables) -> Verdict:
        """Different blocks of a picture before and after encryption."""
        cut = {mode: facts.blocks(facts.picture(tables, mode)) for mode in facts.MODES}
        total, different = len(cut["plain"]), {mode: len(set(b)) for mode, b in cut.items()}
        seen = different["plain"]
        wanted = {"plain": seen, "ecb": seen, "cbc": total, "ctr": total}
        return presuming(
            holds(
                seen < total,
                observed=f"{seen} different blocks of {total}",
                expected="equal blocks in the picture",
            ),
            same(different, wanted, "different blocks"),
        ).because("pictures", tables.of("pictures")[["mode", "width", "height"]])

    @claim(
        "A nonce used twice with one key gives away the XOR of both texts; who knows one of them "
        "reads the other.",
        source="RFC 5116 §5.1.1; NIST SP 800-38D §8, appendix A",
    )
    def reused_nonce_leaks(self, tables: Tables) -> Verdict:
        """r1 knows the greeting, and takes both ciphertexts from its capture."""
        found = {step: _read_by_xor(tables, step) for step in ("nonce-reused", "nonce-fresh")}
        opened = {name: text == PAYMENT.encode() for name, text in found.items()}
        return same(
            opened, {"nonce-reused": True, "nonce-fresh": False}, "the payment is read"
        ).because("two messages, one nonce", said(tables, "nonce-reused"))

    @claim(
        "Encryption alone does not protect against changes: in counter mode a flipped bit of the "
        "ciphertext flips that bit of the text. Authenticated encryption (GCM) refuses it.",
        source="RFC 5116 §1; NIST SP 800-38A appendix D; NIST SP 800-38D §7.2",
    )
    def encryption_does_not_authenticate(self, tables: Tables) -> Verdict:
        """r1, without the key, makes 900 euros of 100."""
        changed = {}
        for step in ("counter-changed", "sealed-changed"):
            before, behind = (
                fields(tables, step, capture=where).get("ciphertext")
                for where in ("r1-eth0", BEHIND)
            )
            changed[step] = before != behind
        return all_of(
            same(changed, dict.fromkeys(changed, True), "changed by r1"),
            same(texts(tables, "counter-changed"), [CHANGED], "counter mode: h2 reads"),
            same(accepted(tables, "sealed-changed"), [False], "GCM: accepted by h2"),
        ).because("what r1 sent on", said(tables, "counter-changed", capture=BEHIND))


def _read_by_xor(tables: Tables, step: str) -> bytes:
    """What comes out if the second text is computed from both ciphertexts and the first text."""
    both = octets(tables, step, "ciphertext")
    if len(both) != 2:
        raise MissingDataError(f"step '{step}' has {len(both)} ciphertexts at r1, not 2")
    known = GREETING.encode()
    return bytes(a ^ b ^ c for a, b, c in zip(*both, known, strict=False))
