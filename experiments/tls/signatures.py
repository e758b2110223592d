"""Whether a server signed its key exchange (RFC 5246 §7.4.3, RFC 8422 §5.4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_PSS, _PKCS1 = 0x0804, 0x0401
"""rsa_pss_rsae_sha256 and rsa_pkcs1_sha256 (RFC 8446 §4.2.3)."""


def is_signed(
    hellos: Sequence[Mapping[Any, Any]], exchange: bytes, chain: Sequence[bytes] | None
) -> bool | None:
    """True if the certificate's key signed both random values and the server's public value.

    Args:
        hellos: the client's and the server's.
        exchange: ServerKeyExchange, without its header.
        chain: the server's certificates (DER).

    Returns:
        None: a part is not in the capture.
    """
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if not all(one.get("data") for one in hellos) or chain is None or not len(chain):
        return None
    key = x509.load_der_x509_certificate(bytes(chain[0])).public_key()
    public_end = 4 + exchange[3]
    scheme = int.from_bytes(exchange[public_end : public_end + 2], "big")
    signature = exchange[public_end + 4 :]
    message = b"".join(one["data"][2:34] for one in hellos) + exchange[:public_end]
    if not isinstance(key, RSAPublicKey) or scheme not in (_PSS, _PKCS1):
        return None
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
    try:
        how = pss if scheme == _PSS else padding.PKCS1v15()
        key.verify(signature, message, how, hashes.SHA256())
    except InvalidSignature:
        return False
    return True
