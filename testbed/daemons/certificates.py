"""Certification authorities and certificates for servers and clients (RFC 5280).

    made = certificates.make(net, "h2", [
        Certificate("root", ca=True),
        Certificate("issuing", issuer="root", ca=True, path_length=0),
        Certificate("www", issuer="issuing", names=("www.example.org",)),
    ])
    Nginx(f"server {{ listen 443 ssl; ssl_certificate {made['www'].chain}; ... }}")

For every experiment and lab that needs certificates. Keys and signatures come from the guest's
random numbers, so on the virtual clock each run makes the same ones; dates count from the run's
clock. The files stay in the run directory, in ``certificates/``: private keys, too, so that a run
can show what they open.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from testbed import programs
from testbed.core.errors import ConfigError
from testbed.core.rundir import KEYS

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork

PROGRAM, PACKAGE = "/usr/bin/python3", "python3-cryptography"
FOLDER = "certificates"
KINDS = ("rsa1024", "rsa2048", "rsa3072", "p256", "ed25519")
HASHES = ("sha256", "sha384", "sha1")
USAGES = ("server", "client", "mail")


@dataclass(frozen=True)
class Certificate:
    """One certificate.

    Attributes:
        name: of its files.
        subject: its common name; default: `name`.
        issuer: name of the certificate whose key signs it; empty: its own.
        names: DNS names and addresses it is for.
        ca: it may sign others.
        path_length: how many authorities may follow below a `ca`; None: any number.
        key: kind of its key, one of `KINDS`.
        hash: what is signed, one of `HASHES`; Ed25519 has its own.
        begins_days: when it begins to be valid, from now.
        lasts_days: how long it is valid.
        crl: URL of the list of revoked certificates; empty: none. The list is made, too.
        ocsp: URL where its issuer answers about it (RFC 6960 §3.1); empty: nowhere. What it answers
            is made if `status_days` is given.
        must_staple: clients must get an OCSP response with it (RFC 7633).
        usages: what its key is for, of `USAGES`; not for a `ca`.
        permitted: DNS domains that a `ca` may sign for (RFC 5280 §4.2.1.10); empty: all.
        revoked: its issuer has revoked it, and says so in its list and in its OCSP response.
        status_days: how long its issuer's OCSP response is valid, from now; 0: none is made.
        damaged: one bit of its signature is changed afterwards.
    """

    name: str
    subject: str = ""
    issuer: str = ""
    names: tuple[str, ...] = ()
    ca: bool = False
    path_length: int | None = None
    key: str = "rsa2048"
    hash: str = "sha256"
    begins_days: float = -1.0
    lasts_days: float = 365.0
    crl: str = ""
    ocsp: str = ""
    must_staple: bool = False
    usages: tuple[str, ...] = ("server", "client")
    permitted: tuple[str, ...] = ()
    revoked: bool = False
    status_days: float = 0.0
    damaged: bool = False


@dataclass(frozen=True)
class Files:
    """Where one certificate's files are.

    Attributes:
        certificate: alone.
        key: the private key.
        chain: the certificate and those of its issuers, without the root.
        crl: the certificates that it revoked (DER), if it issued any with a list.
        status: its issuer's OCSP response (DER), if one was wanted.
    """

    certificate: Path
    key: Path
    chain: Path
    crl: Path
    status: Path


def make(net: RunningNetwork, node: str, wanted: Sequence[Certificate]) -> dict[str, Files]:
    """Makes certificates; issuers come before those they sign.

    Args:
        net: the running network.
        node: where the program runs.
        wanted: the certificates.

    Returns:
        name → files.

    Raises:
        ConfigError: an issuer or a kind of key, hash or usage is unknown, or a name comes twice.
        CommandError: the program failed, for example because python3-cryptography is missing.
    """
    check(wanted)
    folder = net.path / FOLDER
    folder.mkdir(exist_ok=True)
    listed = [{**asdict(one), "subject": one.subject or one.name} for one in wanted]
    file = net.state_folder(node) / "certificates.json"
    file.write_text(json.dumps(listed), encoding="utf-8")
    path = programs.path("certificates")
    net.exec(node, PROGRAM, "-I", path, str(file), str(folder), log=f"{node}-certificates")
    return {one.name: _chained(folder, one, wanted) for one in wanted}


def key_log(net: RunningNetwork, name: str) -> str:
    """A file for the secrets of a program's TLS connections, ``keys/<name>.log`` of the scenario.

    curl takes it as the variable SSLKEYLOGFILE. Dissectors then read what is inside TLS, and the
    captures are also written as pcapng with the secrets, for Wireshark.
    """
    (net.path / KEYS).mkdir(exist_ok=True)
    return str(net.path / KEYS / f"{name}.log")


def check(wanted: Sequence[Certificate]) -> None:
    """Refuses a list that cannot be made.

    Raises:
        ConfigError: says which certificate, and why.
    """
    known: set[str] = set()
    for one in wanted:
        if one.name in known:
            raise ConfigError(f"certificate '{one.name}': comes twice")
        if one.issuer and one.issuer not in known:
            raise ConfigError(f"certificate '{one.name}': issuer '{one.issuer}' must come before")
        asked = (
            ("key", one.key, KINDS),
            ("hash", one.hash, HASHES),
            *(("usage", usage, USAGES) for usage in one.usages),
        )
        for what, value, allowed in asked:
            if value not in allowed:
                raise ConfigError(
                    f"certificate '{one.name}': {what} '{value}' is unknown; "
                    f"allowed: {', '.join(allowed)}"
                )
        known.add(one.name)


def _chained(folder: Path, one: Certificate, wanted: Sequence[Certificate]) -> Files:
    """Writes the chain that a server sends."""
    by_name = {other.name: other for other in wanted}
    chain, above = [one.name], one.issuer
    while above and by_name[above].issuer:
        chain.append(above)
        above = by_name[above].issuer
    file = folder / f"{one.name}.chain.pem"
    file.write_text("".join((folder / f"{name}.pem").read_text() for name in chain))
    certificate, key, crl, status = (
        folder / f"{one.name}.{suffix}" for suffix in ("pem", "key", "crl", "ocsp")
    )
    return Files(certificate, key, file, crl, status)
