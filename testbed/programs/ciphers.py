"""Tries symmetric ciphers out: sizes of blocks and keys, known answers, a picture in each mode.

    ciphers.py FOLDER [FAULT ...]

Prints one JSON object per line, with `fact`; FOLDER gets the picture and what became of it, as raw
bytes. FAULT: ``aes-only`` takes AES for every cipher, ``all-ecb`` takes ECB for every mode. DES is
triple DES with three equal keys, which OpenSSL still has.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from testbed.programs.telling import tell

try:
    from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
except ImportError:  # before version 43
    from cryptography.hazmat.primitives.ciphers.algorithms import TripleDES

Make = Callable[[bytes], Any]
"""A key → the cipher with that key."""


def _des(key: bytes) -> Any:
    return TripleDES(key * 3)


CIPHERS: dict[str, tuple[Make, int]] = {
    "DES": (_des, 8),
    "3DES": (TripleDES, 24),
    "AES-128": (algorithms.AES, 16),
    "AES-192": (algorithms.AES, 24),
    "AES-256": (algorithms.AES, 32),
}
"""Name → how it is made, and the bytes of its key."""

ANSWERS = {
    "DES": ("133457799bbcdff1", "0123456789abcdef"),
    "3DES": ("133457799bbcdff1" * 3, "0123456789abcdef"),
    "AES-128": ("000102030405060708090a0b0c0d0e0f", "00112233445566778899aabbccddeeff"),
}
"""Name → key and plaintext whose ciphertext is in print."""

WIDTH, HEIGHT, PIXEL_BYTES = 160, 120, 4
_PAPER, _BODY, _RING, _HOLE = (
    bytes((*colour, 255)) for colour in ((245, 240, 225), (0, 114, 178), (90, 90, 90), (20, 20, 20))
)


def main(arguments: list[str]) -> None:
    """States all facts."""
    folder, faults = Path(arguments[0]), arguments[1:]
    for name, known in CIPHERS.items():
        sizes(name, *(CIPHERS["AES-128"] if "aes-only" in faults else known))
    for name, (key, plain) in ANSWERS.items():
        found = ecb(CIPHERS[name][0](bytes.fromhex(key)), bytes.fromhex(plain))
        tell(fact="answer", cipher=name, key=key, plain=plain, found=found.hex())
    pictures(folder, all_ecb="all-ecb" in faults)


def ecb(cipher: Any, data: bytes) -> bytes:
    """Whole blocks, each for itself."""
    return Cipher(cipher, modes.ECB()).encryptor().update(data)


def sizes(name: str, make: Make, key_bytes: int) -> None:
    """The length of one padded byte, and how many bits of the key make a difference."""
    key = bytes(range(1, key_bytes + 1))
    cipher = make(key)
    block_bits: int = cipher.block_size
    padder = padding.PKCS7(block_bits).padder()
    block = padder.update(b"x") + padder.finalize()
    whole = ecb(cipher, block)
    flipped = (
        (int.from_bytes(key, "big") ^ 1 << bit).to_bytes(key_bytes, "big")
        for bit in range(8 * key_bytes)
    )
    used = sum(ecb(make(other), block) != whole for other in flipped)
    tell(
        fact="cipher",
        cipher=name,
        one_byte_becomes=len(whole),
        key_bits=8 * key_bytes,
        used_bits=used,
    )


def pictures(folder: Path, *, all_ecb: bool) -> None:
    """A picture with large areas of one colour, encrypted in three modes."""
    plain = b"".join(pixel(x, y) for y in range(HEIGHT) for x in range(WIDTH))
    (folder / "plain").write_bytes(plain)
    key, start = os.urandom(16), os.urandom(16)
    found = {"ecb": modes.ECB(), "cbc": modes.CBC(start), "ctr": modes.CTR(start)}
    for name, mode in found.items():
        used = modes.ECB() if all_ecb else mode
        cipher: Any = Cipher(algorithms.AES(key), used)
        encryptor = cipher.encryptor()
        (folder / name).write_bytes(encryptor.update(plain) + encryptor.finalize())
    tell(fact="picture", width=WIDTH, height=HEIGHT, pixel_bytes=PIXEL_BYTES)


def pixel(x: int, y: int) -> bytes:
    """The colour at a place of a drawing of a padlock."""
    across, down = x - WIDTH // 2, y - HEIGHT // 2
    ring = across**2 + (down + 12) ** 2
    if abs(across) < 44 and -8 < down < 48:
        hole = across**2 + (down - 14) ** 2 < 64 or (abs(across) < 3 and 14 < down < 34)
        return _HOLE if hole else _BODY
    if down <= -8 and 22**2 < ring < 32**2:
        return _RING
    return _PAPER


if __name__ == "__main__":
    main(sys.argv[1:])
