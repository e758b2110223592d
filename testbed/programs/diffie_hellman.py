"""Diffie and Hellman's exchange in a group of RFC 7919, with Debian's python3-cryptography.

A module of its own, since newer versions of that library leave finite fields out.
"""

import secrets
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dh

from testbed.programs.protection import SMALL_EXPONENTS, Refused, derived, number_octets

GROUP = b"""-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
"""ffdhe2048 of RFC 7919, appendix A.1."""


def group() -> Any:
    """The group that both sides know beforehand."""
    return serialization.load_pem_parameters(GROUP)


class Exchange:
    """One side's part of an exchange of Diffie and Hellman in ffdhe2048."""

    def __init__(self, *, weak: bool = False) -> None:
        self.numbers = group().parameter_numbers()
        self.group = {"prime": f"{self.numbers.p:x}", "generator": self.numbers.g}
        self.key = self.small(self.numbers) if weak else group().generate_private_key()
        self.public = number_octets(self.key.public_key().public_numbers().y)

    @staticmethod
    def small(numbers: Any) -> Any:
        """A key whose exponent comes from too few."""
        exponent = 2 + secrets.randbelow(SMALL_EXPONENTS - 2)
        public = dh.DHPublicNumbers(pow(numbers.g, exponent, numbers.p), numbers)
        return dh.DHPrivateNumbers(exponent, public).private_key()

    def check_group(self, message: dict[str, Any]) -> None:
        """Refuses every other group: it could be one that somebody made to be weak."""
        if any(message.get(name) != value for name, value in self.group.items()):
            raise Refused("another group than the known one")

    def agree(self, other: bytes) -> tuple[bytes, bytes]:
        """The common secret, and the key derived from it."""
        public = dh.DHPublicNumbers(int.from_bytes(other, "big"), self.numbers).public_key()
        secret: bytes = self.key.exchange(public)
        return secret, derived(secret)
