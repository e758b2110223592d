"""Tries hash functions out: lengths, changed bits, searches, stored passwords.

    hashing.py [FAULT ...]

Prints one JSON object per line, with `fact`, and what the fact needs. Inputs are numbers that count
up, so each run does the same. FAULT: ``encoded`` takes Base64 for a hash, ``no-salt`` stores
passwords without one, ``changed-pair`` changes one bit of an input whose hash another has, too.
"""

import base64
import hashlib
import secrets
import sys
from collections.abc import Callable

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.telling import tell

Hash = Callable[[bytes], bytes]

HASHES = ("md5", "sha1", "sha256", "sha512", "sha3_256")
LENGTHS_BYTES = (0, 1, 55, 1000, 1_000_000)
PREIMAGE_BITS, PREIMAGES = (6, 8, 10), 64
COLLISION_BITS, COLLISIONS = (12, 14, 16), 256
TRIALS = 1000
_GIVE_UP = 16
"""A search ends after so many times the tries that it should need."""

USERS = {"ann": "sunshine", "bob": "dragon", "cem": "sunshine", "dan": "x7!Kq-29-vT"}
"""What people chose. Two chose the same, and one of them well."""

MD5_PAIR = (
    "d131dd02c5e6eec4693d9a0698aff95c2fcab58712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e488832571415a085125e8f7cdc99fd91dbdf280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e2b487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080a80d1ec69821bcb6a8839396f9652b6ff72a70",
    "d131dd02c5e6eec4693d9a0698aff95c2fcab50712467eab4004583eb8fb7f89"
    "55ad340609f4b30283e4888325f1415a085125e8f7cdc99fd91dbd7280373c5b"
    "d8823e3156348f5bae6dacd436c919c6dd53e23487da03fd02396306d248cda0"
    "e99f33420f577ee8ce54b67080280d1ec69821bcb6a8839396f965ab6ff72a70",
)
"""Two blocks by Wang and Yu (2005)."""


def main(faults: list[str]) -> None:
    """States all facts."""
    take: Hash = base64.b64encode if "encoded" in faults else _sha256
    lengths("encoded" in faults)
    avalanche(take)
    for bits in PREIMAGE_BITS:
        found = [preimage(take, bits, number) for number in range(PREIMAGES)]
        tell(fact="preimage", bits=bits, tries=found)
    for bits in COLLISION_BITS:
        found = [collision(take, bits, number) for number in range(COLLISIONS)]
        tell(fact="collision", bits=bits, tries=found)
    first, second = map(bytes.fromhex, MD5_PAIR)
    if "changed-pair" in faults:
        second = second[:-1] + bytes([second[-1] ^ 1])
    tell(fact="pair", first=first.hex(), second=second.hex())
    store(salted="no-salt" not in faults)


def _sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def lengths(encoded: bool) -> None:
    """How long each hash of short and long inputs is."""
    for name in HASHES:
        for size in LENGTHS_BYTES:
            data = bytes(size)
            digest = base64.b64encode(data) if encoded else hashlib.new(name, data).digest()
            tell(fact="length", hash=name, input_bytes=size, output_bytes=len(digest))


def avalanche(take: Hash) -> None:
    """Bits of the hash that change with one bit of the input, a different one each time."""
    changed = []
    for number in range(TRIALS):
        message = number.to_bytes(32, "big")
        other = (number ^ 1 << number % 256).to_bytes(32, "big")
        one, two = (int.from_bytes(take(m), "big") for m in (message, other))
        changed.append((one ^ two).bit_count())
    tell(fact="avalanche", bits=8 * len(take(bytes(32))), changed=changed)


def truncated(take: Hash, bits: int, search: int, number: int) -> int:
    """The first bits of the hash of an input; each search has inputs of its own."""
    digest = take(b"%d %d %d" % (bits, search, number))
    return int.from_bytes(digest[:8], "big") >> 64 - bits


def preimage(take: Hash, bits: int, search: int) -> int:
    """Tries until an input has the first bits of a given hash."""
    wanted = int.from_bytes(take(b"wanted %d %d" % (bits, search))[:8], "big") >> 64 - bits
    most = _GIVE_UP << bits
    return next((n for n in range(1, most) if truncated(take, bits, search, n) == wanted), most)


def collision(take: Hash, bits: int, search: int) -> int:
    """Tries until two inputs have the same first bits."""
    seen: set[int] = set()
    for number in range(_GIVE_UP << bits // 2):
        found = truncated(take, bits, search, number)
        if found in seen:
            return number + 1
        seen.add(found)
    return _GIVE_UP << bits // 2


def store(*, salted: bool) -> None:
    """What two sites keep of the same passwords: one without, one with a salt."""
    for user, password in USERS.items():
        salt = secrets.token_hex(16) if salted else ""
        tell(fact="stored", site="plain", user=user, salt="", hash=_stored(password, ""))
        tell(fact="stored", site="salted", user=user, salt=salt, hash=_stored(password, salt))


def _stored(password: str, salt: str) -> str:
    return _sha256(bytes.fromhex(salt) + password.encode()).hex()


if __name__ == "__main__":
    main(sys.argv[1:])
