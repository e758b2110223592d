"""What certificates and answers about their revocation say (RFC 5280, RFC 6960)."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cryptography import x509

FIELDS = (
    "subject",
    "issuer",
    "names",
    "begins",
    "ends",
    "key",
    "hash",
    "is_ca",
    "path_length",
    "usages",
    "permitted",
    "must_staple",
    "crl",
    "ocsp",
    "serial",
    "problem",
)
"""Keys of `fields`."""


def fields(der: bytes) -> dict[str, Any]:
    """The fields of one certificate that clients look at.

    Returns:
        `FIELDS`: ``subject``, ``issuer`` (common names, or else the whole names), ``names`` (DNS
        names and addresses, with commas), ``begins``, ``ends`` (as ``2026-11-30 09:00:00``, UTC),
        ``key``, ``hash``, ``is_ca``, ``path_length``, ``usages`` (of the key, with commas),
        ``permitted`` (domains, with commas), ``must_staple`` (RFC 7633), ``crl``,
        ``ocsp`` (URLs of its issuer's list of revoked certificates and of its OCSP responder, with
        commas), ``serial`` (hexadecimal), ``problem`` (where it is damaged; the other fields are
        then missing).
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        one = x509.load_der_x509_certificate(der)
        return dict.fromkeys(FIELDS) | _plain(one) | _extensions(one)
    except (
        ValueError,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
        UnsupportedAlgorithm,
    ) as error:
        return dict.fromkeys(FIELDS) | {"problem": _one_line(error)}


def is_signed_by(der: bytes, issuer: bytes) -> bool | None:
    """True if a certificate names the issuer, and the issuer's key signed it; None: unreadable."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        above = x509.load_der_x509_certificate(issuer)
        x509.load_der_x509_certificate(der).verify_directly_issued_by(above)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, x509.InvalidVersion, UnsupportedAlgorithm) as error:
        return False if "match" in str(error) else None
    return True


def status(message: bytes) -> dict[str, Any]:
    """The OCSP response in a message CertificateStatus (RFC 6066 §8).

    Returns:
        ``status`` (``good``, ``revoked``, ``unknown``), ``problem`` (where it is damaged).
    """
    from cryptography.x509 import ocsp

    try:
        found = ocsp.load_der_ocsp_response(message[4:])
        return {"status": found.certificate_status.name.lower(), "problem": None}
    except ValueError as error:
        return {"status": None, "problem": _one_line(error)}


def _plain(one: x509.Certificate) -> dict[str, Any]:
    return {
        "subject": _name(one.subject),
        "issuer": _name(one.issuer),
        "begins": _moment(one.not_valid_before_utc),
        "ends": _moment(one.not_valid_after_utc),
        "key": _key(one),
        "hash": one.signature_hash_algorithm.name if one.signature_hash_algorithm else "its own",
        "serial": f"{one.serial_number:x}",
    }


def _extensions(one: x509.Certificate) -> dict[str, Any]:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    found: dict[str, Any] = {"is_ca": False, "names": "", "must_staple": False}
    found |= {"crl": "", "ocsp": ""}
    for extension in one.extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints):
            found |= {"is_ca": value.ca, "path_length": value.path_length}
        elif isinstance(value, x509.SubjectAlternativeName):
            found["names"] = _listed(value)
        elif isinstance(value, x509.ExtendedKeyUsage):
            found["usages"] = ",".join(_usage(one) for one in value)
        elif isinstance(value, x509.NameConstraints):
            found["permitted"] = _listed(value.permitted_subtrees or ())
        elif isinstance(value, x509.TLSFeature):
            found["must_staple"] = x509.TLSFeatureType.status_request in value
        elif isinstance(value, x509.CRLDistributionPoints):
            found["crl"] = _listed(name for point in value for name in point.full_name or ())
        elif isinstance(value, x509.AuthorityInformationAccess):
            ocsp = AuthorityInformationAccessOID.OCSP
            found["ocsp"] = _listed(a.access_location for a in value if a.access_method == ocsp)
    return found


def _listed(names: Iterable[x509.GeneralName]) -> str:
    return ",".join(str(name.value) for name in names)


def _name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(common[0].value) if common else name.rfc4514_string()


def _key(one: x509.Certificate) -> str:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        key = one.public_key()
    except UnsupportedAlgorithm:
        return "unknown"
    if isinstance(key, RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, key.curve.name)
    return type(key).__name__.removesuffix("PublicKey").removesuffix("_")


_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_USAGES = {
    "1.3.6.1.5.5.7.3.1": "server",
    "1.3.6.1.5.5.7.3.2": "client",
    "1.3.6.1.5.5.7.3.4": "mail",
}
"""RFC 5280 §4.2.1.12."""


def _usage(identifier: x509.ObjectIdentifier) -> str:
    number = identifier.dotted_string
    return _USAGES.get(number, number)


def _moment(when: datetime.datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S}"


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
