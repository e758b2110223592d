"""Handshakes: messages in their order, keys, round trips, and what is agreed on."""

from __future__ import annotations

from typing import Any

from testbed import Experiment, Tables, Verdict, all_of, claim, pick, same

from . import visits
from .signatures import is_signed
from .talk import (
    CHANGE,
    CLIENT,
    PATH,
    agreed,
    flights,
    message,
    round_trips,
    said,
    without_change,
)

Handshake = list[tuple[str, tuple[str, ...]]]

RSA: Handshake = [
    ("client", ("ClientHello",)),
    ("server", ("ServerHello", "Certificate", "ServerHelloDone")),
    ("client", ("ClientKeyExchange", CHANGE, "Finished")),
    ("server", ("NewSessionTicket", CHANGE, "Finished")),
]
"""RFC 5246 §7.3, figure 1, with a ticket (RFC 5077 §3.1)."""

ECDHE: Handshake = [
    RSA[0],
    ("server", ("ServerHello", "Certificate", "ServerKeyExchange", "ServerHelloDone")),
    *RSA[2:],
]
"""RFC 8422 §2, figure 1."""

TLS13: Handshake = [
    ("client", ("ClientHello",)),
    (
        "server",
        ("ServerHello", "EncryptedExtensions", "Certificate", "CertificateVerify", "Finished"),
    ),
    ("client", ("Finished",)),
]
"""RFC 8446 §2, figure 1."""

CURVES = {0x001D: 32, 0x0017: 65, 0x0018: 97, 0x001E: 56}
"""Named group → bytes of a public value: X25519, P-256, P-384, X448 (RFC 8422 §5.4)."""


class Handshakes(Experiment):
    """Handshakes: messages in their order, keys, round trips, and what is agreed on."""

    @claim(
        "TLS 1.2 with RSA key exchange: the client sends a random secret under the server's public "
        "key, and whoever has the private key can read it.",
        source="RFC 5246 §7.3, §7.4.7.1",
    )
    def rsa_sends_the_secret(self, tables: Tables) -> Verdict:
        """The messages, and what the private key makes of ClientKeyExchange."""
        key = message(tables, "rsa", "ClientKeyExchange").get("data") or b""
        mine = pick(tables, "rsa", PATH, table="tls_with_private_key", opened=True)
        theirs = said(tables, "rsa", capture=PATH, opened=True)
        return all_of(
            same(flights(tables, "rsa"), RSA, "messages"),
            same(len(key), 2 + visits.RSA_BITS // 8, "bytes of length and encrypted secret"),
            same(
                _data(mine) == _data(theirs),
                True,
                "the private key opens as much as the secrets",
            ),
        ).because("handshake", said(tables, "rsa"))

    @claim(
        "TLS 1.2 with ECDHE: both sides send a public value made for this session, the server "
        "signs its own, and no secret travels.",
        source="RFC 8422 §2, §5.4, §5.7",
    )
    def ecdhe_sends_public_values(self, tables: Tables) -> Verdict:
        """Messages, lengths of the values, and the signature under the certificate's key."""
        server = message(tables, "ecdhe", "ServerKeyExchange").get("data") or bytes(4)
        client = message(tables, "ecdhe", "ClientKeyExchange").get("data") or b"\0"
        size = CURVES.get(int.from_bytes(server[1:3], "big"), -1)
        hellos = [message(tables, "ecdhe", name) for name in ("ClientHello", "ServerHello")]
        chain = message(tables, "ecdhe", "Certificate").get("certificates")
        return all_of(
            same(flights(tables, "ecdhe"), ECDHE, "messages"),
            same([server[3], client[0], len(client) - 1], [size] * 3, "bytes of public values"),
            same(is_signed(hellos, server, chain), True, "signed by the certificate's key"),
        ).because("handshake", said(tables, "ecdhe"))

    @claim(
        "TLS 1.3: the hellos carry the public values, and everything after them is encrypted, the "
        "certificate included. There is no RSA key exchange.",
        source="RFC 8446 §2, §4.4.2; §1.2",
    )
    def tls13_encrypts_its_handshake(self, tables: Tables) -> Verdict:
        """Messages and extensions; who can see the certificate, compared with TLS 1.2."""
        hellos = [message(tables, "tls13", name) for name in ("ClientHello", "ServerHello")]
        shares = ["key_share" in str(one.get("extensions")).split(",") for one in hellos]
        seen = {
            step: [bool(x) for x in said(tables, step, message="Certificate")["encrypted"]]
            for step in ("ecdhe", "tls13")
        }
        return all_of(
            same(without_change(flights(tables, "tls13")), TLS13, "messages"),
            same(shares, [True, True], "key shares in the hellos"),
            same(seen, {"ecdhe": [False], "tls13": [True]}, "certificate is encrypted"),
        ).because("handshake", said(tables, "tls13"))

    @claim(
        "Before the first request TLS 1.2 takes two round trips, a resumed session one; TLS 1.3 "
        "takes one, with early data none.",
        source="RFC 5246 §7.3; RFC 8446 §2, §2.3",
    )
    def round_trips_are_counted(self, tables: Tables) -> Verdict:
        """How often the client waits for the server before it sends its request."""
        wanted = {"rsa": 2, "ecdhe": 2, "id-resumed": 1, "tls13": 1, "early": 0}
        found = {step: round_trips(tables, step) for step in wanted}
        return same(found, wanted, "round trips").because("handshake", said(tables, "ecdhe"))

    @claim(
        "With ALPN the handshake also chooses the application protocol: in the clear in TLS 1.2, "
        "encrypted in TLS 1.3.",
        source="RFC 7301 §3.1; RFC 8446 §4.3.1",
    )
    def alpn_chooses_the_protocol(self, tables: Tables) -> Verdict:
        """h2 and http/1.1 are offered, and the server speaks http/1.1."""
        agreed(tables, "alpn", "alpn13")
        offered = [message(tables, s, "ClientHello").get("alpn") for s in ("alpn", "alpn13")]
        chosen = [
            message(tables, "alpn", "ServerHello"),
            message(tables, "alpn13", "EncryptedExtensions"),
        ]
        return all_of(
            same(offered, ["h2,http/1.1"] * 2, "offered"),
            same([one.get("alpn") for one in chosen], ["http/1.1"] * 2, "chosen"),
            same([one.get("encrypted") for one in chosen], [False, True], "encrypted"),
        ).because("hellos", said(tables, "alpn", capture=CLIENT))

    @claim(
        "TLS consists of a record protocol and, inside its records, a handshake protocol, an alert "
        "protocol and the application's data.",
        source="RFC 5246 §1, §6.2.1; RFC 8446 §5.1",
    )
    def records_carry_three_protocols(self, tables: Tables) -> Verdict:
        """Content types of the step's records, and the handshake's before any data."""
        agreed(tables, "https")
        rows = said(tables, "https")
        kinds = sorted(rows["protocol_name"].unique())
        first = rows["protocol_name"].iloc[0] if len(rows) else ""
        ends = rows.loc[rows["protocol_name"] == "alert", "message"].unique().tolist()
        return all_of(
            same(kinds, ["alert", "application data", CHANGE, "handshake"], "content types"),
            same(first, "handshake", "first"),
            same(ends, ["close_notify"], "alerts"),
        ).because("records", rows)


def _data(rows: Any) -> list[bytes]:
    """The contents of messages, in their order."""
    return [bytes(x) for x in rows["data"] if isinstance(x, bytes)]
