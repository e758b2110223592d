"""Makes keys and certificates (RFC 5280) from a list, with Debian's python3-cryptography.

    certificates.py FILE FOLDER

FILE holds a JSON list; each certificate's issuer comes before it. FOLDER gets ``NAME.pem`` and
``NAME.key``. See `testbed.daemons.certificates` for the fields.
"""

import datetime
import hashlib
import ipaddress
import json
import sys
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Made = dict[str, tuple[Any, x509.Certificate]]

_HASHES: dict[str, Any] = {"sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha1": hashes.SHA1}
_PEM = serialization.Encoding.PEM


def main(arguments: list[str]) -> None:
    """Makes all certificates of the file."""
    wanted = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0)
    folder, made = Path(arguments[1]), Made()
    for one in wanted:
        key = new_key(one["key"])
        signed = sign(one, key, made, now)
        made[one["name"]] = (key, signed)
        (folder / f"{one['name']}.pem").write_bytes(signed.public_bytes(_PEM))
        private = key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{one['name']}.key").write_bytes(private)


def new_key(kind: str) -> Any:
    """A key: ``rsa2048`` (any size), ``p256`` or ``ed25519``."""
    if kind.startswith("rsa"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[3:]))
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else _on_p256()


def _on_p256() -> Any:
    return ec.generate_private_key(ec.SECP256R1())


def subject(one: dict[str, Any]) -> x509.Name:
    """The distinguished name."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, one["subject"])])


def sign(one: dict[str, Any], key: Any, made: Made, now: datetime.datetime) -> x509.Certificate:
    """One certificate, signed by its issuer, or by itself."""
    issuer_key, issuer = made[one["issuer"]] if one["issuer"] else (key, None)
    begins = now + datetime.timedelta(days=one["begins_days"])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject(one))
        .issuer_name(issuer.subject if issuer else subject(one))
        .public_key(key.public_key())
        .serial_number(serial_number(one["name"]))
        .not_valid_before(begins)
        .not_valid_after(begins + datetime.timedelta(days=one["lasts_days"]))
    )
    for value, critical in extensions(one, key, issuer_key):
        builder = builder.add_extension(value, critical)
    kind = None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else _HASHES[one["hash"]]()
    return builder.sign(issuer_key, kind)


def serial_number(name: str) -> int:
    """A number that follows from the name; positive, as RFC 5280 §4.1.2.2 wants it."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 1


def extensions(one: dict[str, Any], key: Any, issuer_key: Any) -> list[tuple[Any, bool]]:
    """Extension and whether it is critical."""
    ca = one["ca"]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    found: list[tuple[Any, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=one["path_length"] if ca else None), True),
        (x509.KeyUsage(not ca, False, not ca, False, False, ca, ca, False, False), True),
        (identifier, False),
        (above, False),
    ]
    if not ca:
        usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        found.append((x509.ExtendedKeyUsage(usage), False))
    if one["names"]:
        found.append((x509.SubjectAlternativeName([general_name(n) for n in one["names"]]), False))
    if one["crl"]:
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier(one["crl"])], None, None, None
        )
        found.append((x509.CRLDistributionPoints([point]), False))
    if one["must_staple"]:
        found.append((x509.TLSFeature([x509.TLSFeatureType.status_request]), False))
    return found


def general_name(name: str) -> x509.GeneralName:
    """An address or a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


if __name__ == "__main__":
    main(sys.argv[1:])
