"""Refusals: alerts and their causes, downgrades, changed bytes, unknown clients."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, claim, same

from .talk import DATA, agreed, alert, flights, only, said, targets

CAUSES = {
    "old-version": ("server", "protocol_version"),
    "no-cipher": ("server", "handshake_failure"),
    "unknown-ca": ("client", "unknown_ca"),
    "unknown-name": ("server", "unrecognized_name"),
    "no-protocol": ("server", "no_application_protocol"),
}
"""Step → who sends which alert (RFC 8446 §6.2)."""

SENTINEL = b"DOWNGRD\x01"
"""Last bytes of the random value of a server that could do TLS 1.3 and agreed on 1.2."""


class Attacks(Experiment):
    """Refusals: alerts and their causes, downgrades, changed bytes, unknown clients."""

    @claim(
        "A handshake that fails ends with an alert that names its cause.",
        source="RFC 8446 §6.2; RFC 6066 §3; RFC 7301 §3.2",
    )
    def alerts_name_their_causes(self, tables: Tables) -> Verdict:
        """Five connections, each with one thing wrong; no data is sent in any."""
        found = {step: alert(tables, step) for step in CAUSES}
        data = [step for step in CAUSES if len(said(tables, step, protocol_name=DATA))]
        return all_of(same(found, CAUSES, "alerts"), same(data, [], "with data")).because(
            "alert", said(tables, "old-version")
        )

    @claim(
        "A client that comes back with an older version, after a failure, is refused if the server "
        "can do better.",
        source="RFC 7507 §3",
    )
    def fallback_is_refused(self, tables: Tables) -> Verdict:
        """A client hello of TLS 1.2 that says it is a second try."""
        return same(
            alert(tables, "fallback"), ("server", "inappropriate_fallback"), "alert"
        ).because("handshake", said(tables, "fallback"))

    @claim(
        "If somebody on the way takes TLS 1.3 out of the offer, the server's random value tells, "
        "and the client ends the connection.",
        source="RFC 8446 §4.1.3",
    )
    def downgrade_is_noticed(self, tables: Tables) -> Verdict:
        """The server's random value, who ended the connection, and that no data was sent."""
        hello = only(said(tables, "downgraded", message="ServerHello"), "hello of the server")
        random = bytes(hello["data"])[2:34]
        rows = said(tables, "downgraded", protocol_name=DATA)
        return all_of(
            same(random[-8:], SENTINEL, "end of the server's random value"),
            same(alert(tables, "downgraded"), ("client", "illegal_parameter"), "alert"),
            same(len(rows), 0, "records with data"),
        ).because("handshake", said(tables, "downgraded"))

    @claim(
        "One bit changed on the way: the record does not fit its key, and the connection ends "
        "without a byte of it being used.",
        source="RFC 8446 §5.2",
    )
    def changed_bit_ends_the_connection(self, tables: Tables) -> Verdict:
        """The response with the changed bit, as the client's capture has it."""
        agreed(tables, "flipped")
        rows = said(tables, "flipped", side="server", protocol_name=DATA)
        return all_of(
            same([bool(x) for x in rows["opened"]][:1], [False], "the client can open it"),
            same(alert(tables, "flipped"), ("client", "bad_record_mac"), "alert"),
            same(targets(tables, "flipped"), ["/account"], "requests"),
        ).because("records", said(tables, "flipped"))

    @claim(
        "With mutual authentication the server asks for the client's certificate too, and refuses "
        "a client without one.",
        source="RFC 8446 §4.3.2, §4.4.2.4; RFC 8879 §4",
    )
    def clients_show_certificates(self, tables: Tables) -> Verdict:
        """alice's connection, and one without a certificate."""
        third = next((n for side, n in flights(tables, "mutual")[2:] if side == "client"), ())
        asked = len(said(tables, "mutual", message="CertificateRequest"))
        return all_of(
            same(asked, 1, "requests for a certificate"),
            same(
                [n.removeprefix("Compressed") for n in third if n != "change cipher spec"],
                ["Certificate", "CertificateVerify", "Finished"],
                "the client's answer",
            ),
            same(targets(tables, "mutual"), ["/mutual"], "requests"),
            same(alert(tables, "no-certificate"), ("server", "certificate_required"), "alert"),
        ).because("handshake", said(tables, "mutual"))
