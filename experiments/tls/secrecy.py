"""What TLS hides, from whom, and what stays visible."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, near, pick, same

from . import visits
from .talk import (
    CLIENT,
    DATA,
    PATH,
    agreed,
    message,
    octets,
    said,
    targets,
)

PROTECTION_BYTES = {"TLS 1.2": 5 + 8 + 16, "TLS 1.3": 5 + 1 + 16}
"""What AES-GCM adds to each record: header, explicit nonce (1.2) or content type (1.3), tag."""


class Secrecy(Experiment):
    """What TLS hides, from whom, and what stays visible."""

    @claim(
        "Plain HTTP is read by anyone on the path: the URL, the headers and the body.",
        source="RFC 9110 §17.1",
    )
    def plain_http_is_read(self, tables: Tables) -> Verdict:
        """Words of the request line, of a header and of the body, in packets at r1."""
        found = [word in octets(tables, "http") for word in visits.WORDS]
        return all_of(
            same(found, [True] * len(found), "URL, header, body readable"),
            same(targets(tables, "http", "http_in_the_clear"), ["/account"], "requests read"),
        ).because("request and response", pick(tables, "http", PATH, table="http"))

    @claim(
        "Over TLS the same messages cannot be read on the path.",
        source="RFC 8446 §1, §5.2, appendix E.2",
    )
    def tls_hides_the_messages(self, tables: Tables) -> Verdict:
        """r1 finds none of the words; the client's secrets show that they are there."""
        agreed(tables, "https")
        found = [word in octets(tables, "https") for word in visits.WORDS]
        inside = pick(tables, "https", PATH, table="http")
        return all_of(
            same(found, [False] * len(found), "URL, header, body readable"),
            same(targets(tables, "https", "http_in_the_clear"), [], "requests read"),
            same(targets(tables, "https"), ["/account"], "requests sent"),
            same(inside["status"].dropna().tolist(), [200], "status"),
        ).because("what is inside", inside)

    @claim(
        "Addresses, port 443, the server's name and the sizes stay visible: a record is as long as "
        "its content and a constant.",
        source="RFC 6066 §3; RFC 8446 §5.2, appendix E.3; RFC 9110 §4.2.2",
    )
    def names_and_sizes_stay_visible(self, tables: Tables) -> Verdict:
        """Port, name in the client hello, and lengths of records, all read at r1."""
        agreed(tables, "https")
        data = said(tables, "https", capture=PATH, protocol_name=DATA, opened=True)
        added = sorted({int(x) for x in data["record_bytes"] - data["bytes"]})
        hellos = said(tables, "https", capture=PATH, message="ClientHello")
        return all_of(
            same(hellos["server_name"].tolist(), [visits.NAME], "name"),
            same(hellos["encrypted"].tolist(), [False], "encrypted"),
            same([int(x) for x in hellos["tcp_dport"]], [443], "port"),
            same(added, [PROTECTION_BYTES["TLS 1.3"]], "bytes added to each record"),
        ).because("client hello and data", said(tables, "https", capture=PATH))

    @claim(
        "A server's private key opens recorded sessions with RSA key exchange. It opens none with "
        "ECDHE, in TLS 1.2 or 1.3: these have forward secrecy.",
        source="RFC 5246 §F.1.1.2–3; RFC 8446 §1.2, appendix E.1; RFC 9325 §4.1",
    )
    def private_key_opens_rsa_only(self, tables: Tables) -> Verdict:
        """The captures at r1, read with nothing but the key file of h2."""
        found: dict[str, bool | None] = {}
        agreed(tables, "rsa", "ecdhe", "tls13")
        for step in ("rsa", "ecdhe", "tls13"):
            rows = pick(tables, step, PATH, table="tls_with_private_key", protocol_name=DATA)
            found[step] = bool(rows["opened"].all()) if len(rows) else None
        return same(found, {"rsa": True, "ecdhe": False, "tls13": False}, "opened").because(
            "data", said(tables, "rsa", capture=PATH, protocol_name=DATA)
        )

    @claim(
        "Behind the handshake encryption is symmetric: keys from one secret protect both "
        "directions, and add the same few bytes to each record.",
        source="RFC 5246 §6.3, §6.2.3.3; RFC 5288 §3",
    )
    def encryption_is_symmetric(self, tables: Tables) -> Verdict:
        """One line of the key log opens requests and responses of the step with RSA."""
        agreed(tables, "rsa")
        data = said(tables, "rsa", capture=CLIENT, protocol_name=DATA)
        opened = sorted(data.loc[data["opened"].astype(bool), "side"].unique())
        added = sorted({int(x) for x in data["record_bytes"] - data["bytes"]})
        key = message(tables, "rsa", "ClientKeyExchange")
        return all_of(
            same(opened, ["client", "server"], "opened"),
            same(added, [PROTECTION_BYTES["TLS 1.2"]], "bytes added to each record"),
            near(len(key.get("data") or b""), 2 + visits.RSA_BITS // 8, abs=0, unit="bytes"),
            at_least(len(data), 2, unit="records"),
        ).because("data", data)
