"""Makes keys and certificates (RFC 5280) from a list, with Debian's python3-cryptography.

    certificates.py FILE FOLDER

FILE holds a JSON list; each certificate's issuer comes before it. FOLDER gets ``NAME.pem`` and
``NAME.key``, and where they are wanted ``NAME.crl`` (what NAME revoked, RFC 5280 §5) and
``NAME.ocsp`` (what the issuer says of NAME, RFC 6960). See `testbed.daemons.certificates` for the
fields.
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
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

Made = dict[str, tuple[Any, x509.Certificate]]

_HASHES: dict[str, Any] = {"sha256": hashes.SHA256, "sha384": hashes.SHA384}
_USAGES = {
    "server": ExtendedKeyUsageOID.SERVER_AUTH,
    "client": ExtendedKeyUsageOID.CLIENT_AUTH,
    "mail": ExtendedKeyUsageOID.EMAIL_PROTECTION,
}
_PEM, _DER = serialization.Encoding.PEM, serialization.Encoding.DER
_WITH_SHA1 = {  # algorithm with SHA-256 and with SHA-1 (RFC 8017 §A.2.4, RFC 5758 §3.2)
    "rsa": (
        bytes.fromhex("300d06092a864886f70d01010b0500"),
        bytes.fromhex("300d06092a864886f70d0101050500"),
    ),
    "ec": (bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300906072a8648ce3d0401")),
}
_SEQUENCE, _BITS, _LONG_HEADER_BYTES = 0x30, 0x03, 4
_LIST_DAYS = 7
"""How long a list of revoked certificates is valid."""


def main(arguments: list[str]) -> None:
    """Makes all certificates of the file, and what their issuers say of them later."""
    wanted = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None, microsecond=0)
    folder, made = Path(arguments[1]), Made()
    for one in wanted:
        key = new_key(one["key"])
        signed = sign(one, key, made, now)
        made[one["name"]] = (key, signed)
        private = key.private_bytes(
            _PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (folder / f"{one['name']}.key").write_bytes(private)
        written = damaged(signed) if one["damaged"] else signed
        (folder / f"{one['name']}.pem").write_bytes(written.public_bytes(_PEM))
        if one["status_days"]:
            said = status(one, signed, made[one["issuer"]], now)
            (folder / f"{one['name']}.ocsp").write_bytes(said)
    for name in dict.fromkeys(one["issuer"] for one in wanted if one["crl"]):
        gone = [made[one["name"]][1] for one in wanted if one["revoked"] and one["issuer"] == name]
        (folder / f"{name}.crl").write_bytes(revocations(gone, made[name], now))


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
    signed = builder.sign(issuer_key, _hash(issuer_key, one["hash"]))
    return signed_with_sha1(signed, issuer_key) if one["hash"] == "sha1" else signed


def _hash(key: Any, name: str = "sha256") -> Any:
    """What a key signs; Ed25519 has a hash of its own."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    return _HASHES.get(name, hashes.SHA256)()


def signed_with_sha1(signed: x509.Certificate, key: Any) -> x509.Certificate:
    """The same certificate with an old signature, which `cryptography` makes of bytes alone."""
    is_rsa = isinstance(key, rsa.RSAPrivateKey)
    old, new = _WITH_SHA1["rsa" if is_rsa else "ec"]
    content = signed.tbs_certificate_bytes[_LONG_HEADER_BYTES:].replace(old, new, 1)
    to_be_signed = der(_SEQUENCE, content)
    how = (padding.PKCS1v15(), hashes.SHA1()) if is_rsa else (ec.ECDSA(hashes.SHA1()),)
    signature = der(_BITS, b"\0" + key.sign(to_be_signed, *how))
    return x509.load_der_x509_certificate(der(_SEQUENCE, to_be_signed + new + signature))


def der(tag: int, content: bytes) -> bytes:
    """One value of ASN.1's encoding (X.690 §8.1)."""
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def damaged(signed: x509.Certificate) -> x509.Certificate:
    """The same certificate with its last bit changed, which belongs to the signature."""
    data = signed.public_bytes(_DER)
    return x509.load_der_x509_certificate(data[:-1] + bytes([data[-1] ^ 1]))


def status(
    one: dict[str, Any],
    signed: x509.Certificate,
    issuer: tuple[Any, x509.Certificate],
    now: datetime.datetime,
) -> bytes:
    """The issuer's OCSP response: good, or revoked an hour ago (RFC 6960 §4.2)."""
    state = ocsp.OCSPCertStatus.REVOKED if one["revoked"] else ocsp.OCSPCertStatus.GOOD
    response = ocsp.OCSPResponseBuilder().add_response(
        cert=signed,
        issuer=issuer[1],
        algorithm=hashes.SHA1(),  # of the names only; clients ask for this one
        cert_status=state,
        this_update=now,
        next_update=now + datetime.timedelta(days=one["status_days"]),
        revocation_time=now - datetime.timedelta(hours=1) if one["revoked"] else None,
        revocation_reason=x509.ReasonFlags.key_compromise if one["revoked"] else None,
    )
    by_key = response.responder_id(ocsp.OCSPResponderEncoding.HASH, issuer[1])
    return by_key.sign(issuer[0], _hash(issuer[0])).public_bytes(_DER)


def revocations(
    gone: list[x509.Certificate], issuer: tuple[Any, x509.Certificate], now: datetime.datetime
) -> bytes:
    """The issuer's list of the certificates that it revoked (RFC 5280 §5)."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer[1].subject)
        .last_update(now)
        .next_update(now + datetime.timedelta(days=_LIST_DAYS))
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for one in gone:
        entry = (
            x509.RevokedCertificateBuilder()
            .serial_number(one.serial_number)
            .revocation_date(now - datetime.timedelta(hours=1))
            .add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        )
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(issuer[0], _hash(issuer[0])).public_bytes(_DER)


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
        found.append((x509.ExtendedKeyUsage([_USAGES[word] for word in one["usages"]]), False))
    elif one["permitted"]:
        domains = [x509.DNSName(name) for name in one["permitted"]]
        found.append((x509.NameConstraints(domains, None), True))
    if one["names"]:
        found.append((x509.SubjectAlternativeName([general_name(n) for n in one["names"]]), False))
    if one["crl"]:
        point = x509.DistributionPoint(
            [x509.UniformResourceIdentifier(one["crl"])], None, None, None
        )
        found.append((x509.CRLDistributionPoints([point]), False))
    if one["ocsp"]:
        place = x509.UniformResourceIdentifier(one["ocsp"])
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, place)
        found.append((x509.AuthorityInformationAccess([access]), False))
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
