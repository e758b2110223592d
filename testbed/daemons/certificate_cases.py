"""Servers whose certificates have one thing wrong each, and what a client says to that.

    cases = certificate_cases.cases()
    made = certificates.make(net, "h2", certificate_cases.wanted(cases))
    Nginx(certificate_cases.servers(made, cases) + ...)

All cases are names of one address: TLS's server name chooses the certificate (RFC 6066 §3). What
is wrong, and how OpenSSL calls it, is in `cases`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from testbed.daemons.certificates import Certificate, Files

DOMAIN = "example.org"
"""Of all servers."""

ROOT, ISSUING = "root", "issuing"
"""The authority that clients trust, and the one below it that signs servers' certificates."""

STATUS_DAYS = 7.0
"""How long OCSP responses are valid."""

BAD_SIGNATURE, OTHER_NAME = 7, 62
"""OpenSSL's numbers for a signature that does not fit, and for a name that does not match."""

CHAIN, ALONE, WITH_ROOT = "chain", "alone", "with root"
"""What a server sends: all but the root, only its own certificate, all with the root."""


@dataclass(frozen=True)
class Case:
    """One server.

    Attributes:
        name: of the case; its host is ``<name>.example.org``.
        what: what is wrong with it.
        error: OpenSSL's number of the reason to refuse it (``X509_V_ERR_…``); 0: it is accepted.
        alert: TLS's word for that reason (RFC 8446 §6.2).
        certificate: the server's.
        above: authorities of this case alone.
        sends: `CHAIN`, `ALONE` or `WITH_ROOT`.
    """

    name: str
    what: str
    error: int
    alert: str
    certificate: Certificate
    above: tuple[Certificate, ...] = ()
    sends: str = CHAIN

    @property
    def host(self) -> str:
        """Its DNS name."""
        return host(self.name)


def host(name: str) -> str:
    """The DNS name of a case."""
    return f"{name}.{DOMAIN}"


def _server(name: str, **changes: object) -> Certificate:
    """A certificate without a fault, but for the changes."""
    sound = Certificate(name, host(name), issuer=ISSUING, names=(host(name),), key="p256")
    return replace(sound, **changes)  # type: ignore[arg-type]


def _authority(name: str, subject: str, **changes: object) -> Certificate:
    return replace(Certificate(name, subject, ca=True, key="p256"), **changes)  # type: ignore[arg-type]


_AUTHORITIES = (
    _authority(ROOT, "Example Root"),
    _authority(ISSUING, "Example Issuing CA", issuer=ROOT, path_length=0),
)
_STRANGER = _authority("stranger", "Unknown Root")
_STRANGER_TOO = _authority("stranger-sent", "Unknown Root That Is Sent")
_BELOW = _authority("below", "CA Below Its Limit", issuer=ISSUING)
_ELSEWHERE = _authority("elsewhere", "CA for example.net", issuer=ROOT, permitted=("example.net",))

_CASES = (
    Case("valid", "nothing is wrong", 0, "", _server("valid")),
    Case(
        "self-signed",
        "signed by its own key",
        18,
        "unknown_ca",
        _server("self-signed", issuer=""),
    ),
    Case(
        "unknown-issuer",
        "signed by an authority that the client does not know",
        20,
        "unknown_ca",
        _server("unknown-issuer", issuer="stranger"),
        (_STRANGER,),
    ),
    Case(
        "root-sent",
        "the same, and the server sends that authority's certificate as well",
        19,
        "unknown_ca",
        _server("root-sent", issuer="stranger-sent"),
        (_STRANGER_TOO,),
        WITH_ROOT,
    ),
    Case(
        "missing-intermediate",
        "the server does not send the intermediate certificate",
        20,
        "unknown_ca",
        _server("missing-intermediate"),
        sends=ALONE,
    ),
    Case(
        "damaged",
        "one bit of it was changed after it was signed",
        BAD_SIGNATURE,
        "decrypt_error",
        _server("damaged", damaged=True),
    ),
    Case(
        "expired",
        "ended a day ago",
        10,
        "certificate_expired",
        _server("expired", begins_days=-91.0, lasts_days=90.0),
    ),
    Case(
        "not-yet-valid",
        "begins tomorrow",
        9,
        "bad_certificate",
        _server("not-yet-valid", begins_days=1.0, lasts_days=90.0),
    ),
    Case(
        "wrong-name",
        "is for another name",
        OTHER_NAME,
        "bad_certificate",
        _server("wrong-name", subject=host("other"), names=(host("other"),)),
    ),
    Case(
        "common-name",
        "has the name as its common name only, and another one as its DNS name",
        OTHER_NAME,
        "bad_certificate",
        _server("common-name", names=(host("other"),)),
    ),
    Case(
        "short-key",
        "has an RSA key of 1024 bits",
        66,
        "bad_certificate",
        _server("short-key", key="rsa1024"),
    ),
    Case(
        "weak-hash",
        "is signed with SHA-1",
        68,
        "bad_certificate",
        _server("weak-hash", hash="sha1"),
    ),
    Case(
        "issued-by-server",
        "signed with the key of another server, which is no authority",
        79,
        "unknown_ca",
        _server("issued-by-server", issuer="valid"),
    ),
    Case(
        "path-too-long",
        "signed by an authority below one that may have none below it",
        25,
        "unknown_ca",
        _server("path-too-long", issuer="below"),
        (_BELOW,),
    ),
    Case(
        "outside-its-domain",
        "signed by an authority that may sign for example.net only",
        47,
        "certificate_unknown",
        _server("outside-its-domain", issuer="elsewhere"),
        (_ELSEWHERE,),
    ),
    Case(
        "wrong-usage",
        "is for mail, not for servers",
        26,
        "unsupported_certificate",
        _server("wrong-usage", usages=("mail",)),
    ),
    Case(
        "revoked",
        "revoked by its issuer, which clients must ask about",
        0,
        "",
        _server("revoked", revoked=True, status_days=STATUS_DAYS),
    ),
)


def cases() -> tuple[Case, ...]:
    """A sound certificate, and others with one thing wrong each."""
    return _CASES


def authorities() -> tuple[Certificate, ...]:
    """`ROOT` and `ISSUING`."""
    return _AUTHORITIES


def wanted(chosen: Iterable[Case], *, crl: str = "") -> list[Certificate]:
    """Certificates of all cases, issuers first.

    Args:
        chosen: the cases; ``valid`` comes first, since its key signs another one.
        crl: URL of the list of what `ISSUING` revoked; empty: there is none.
    """
    found = list(_AUTHORITIES)
    for case in chosen:
        own = replace(case.certificate, crl=crl if case.certificate.revoked else "")
        found += [*case.above, own]
    return found


def flawless() -> list[Case]:
    """The same cases with nothing wrong; to see which checks notice."""
    return [
        replace(case, certificate=_server(case.name, status_days=STATUS_DAYS), sends=CHAIN)
        for case in _CASES
    ]


_SERVER = """
server {{
  listen 443 ssl;
  server_name {host};
  ssl_certificate {chain};
  ssl_certificate_key {key};
  root /srv;
  {more}
}}
"""


def servers(made: Mapping[str, Files], chosen: Iterable[Case], *, staple: bool = True) -> str:
    """nginx's ``server`` blocks of all cases; their pages are in ``/srv``."""
    blocks = []
    for case in chosen:
        chain = _sent(case, made)
        blocks.append(server(case.host, made[case.name], chain=chain, staple=staple))
    return "".join(blocks)


def server(
    names: str, files: Files, *, chain: Path | None = None, staple: bool = True, more: str = ""
) -> str:
    """One ``server`` block with a certificate, and with its OCSP response if there is one."""
    if staple and files.status.is_file():
        more += f"ssl_stapling on; ssl_stapling_file {files.status};"
    return _SERVER.format(host=names, chain=chain or files.chain, key=files.key, more=more)


def _sent(case: Case, made: Mapping[str, Files]) -> Path:
    """The file of certificates that a server sends."""
    files = made[case.name]
    if case.sends == ALONE:
        return files.certificate
    if case.sends == CHAIN:
        return files.chain
    whole = files.chain.with_suffix(".with-root.pem")
    root = made[case.above[0].name].certificate
    whole.write_text(files.chain.read_text() + root.read_text())
    return whole
