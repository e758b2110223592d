"""Sessions that are taken up again, and early data."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, same

from .talk import DATA, PATH, Flight, agreed, flights, message, said, targets

ABBREVIATED: list[Flight] = [
    ("client", ("ClientHello",)),
    ("server", ("ServerHello", "change cipher spec", "Finished")),
    ("client", ("change cipher spec", "Finished")),
]
"""RFC 5246 §7.3, figure 2."""

_CERTIFYING = ("Certificate", "CertificateVerify", "ServerKeyExchange", "ClientKeyExchange")


class Resumption(Experiment):
    """Sessions that are taken up again, and early data."""

    @claim(
        "With a session id, TLS 1.2 resumes what the server remembers: no certificate, no key "
        "exchange.",
        source="RFC 5246 §7.3 (figure 2), §7.4.1.2–3",
    )
    def session_ids_resume(self, tables: Tables) -> Verdict:
        """The id of the first server hello comes back in both hellos."""
        agreed(tables, "id")
        first = str(message(tables, "id", "ServerHello").get("session"))
        again = [
            message(tables, "id-resumed", name).get("session")
            for name in ("ClientHello", "ServerHello")
        ]
        return all_of(
            same(len(first), 64, "hexadecimal digits of the id"),
            same(again, [first, first], "ids"),
            same(flights(tables, "id-resumed"), ABBREVIATED, "messages"),
        ).because("resumed handshake", said(tables, "id-resumed"))

    @claim(
        "With a ticket the client keeps the session for the server, encrypted by the server.",
        source="RFC 5077 §3.1–3.2",
    )
    def tickets_resume(self, tables: Tables) -> Verdict:
        """The ticket of the first handshake comes back in the second client hello."""
        agreed(tables, "ticket")
        ticket = bytes(message(tables, "ticket", "NewSessionTicket").get("data") or b"")[6:]
        hello = bytes(message(tables, "ticket-resumed", "ClientHello").get("data") or b"")
        used = [name for _, names in flights(tables, "ticket-resumed") for name in names]
        return all_of(
            at_least(len(ticket), 100, unit="bytes of ticket"),
            same(len(ticket) > 0 and ticket in hello, True, "comes back"),
            same([n for n in used if n in _CERTIFYING], [], "certificate and keys"),
            same(targets(tables, "ticket-resumed"), ["/again"], "requests"),
        ).because("both handshakes", said(tables, "ticket-resumed"))

    @claim(
        "TLS 1.3 resumes with a pre-shared key from a ticket, without a certificate, and with new "
        "public values all the same.",
        source="RFC 8446 §2.2, §4.2.11, §4.6.1",
    )
    def psk_resumes(self, tables: Tables) -> Verdict:
        """Extensions of both hellos; messages that are left out."""
        hellos = [message(tables, "tls13-resumed", n) for n in ("ClientHello", "ServerHello")]
        both = [
            {"pre_shared_key", "key_share"} <= set(str(one.get("extensions")).split(","))
            for one in hellos
        ]
        used = [name for _, names in flights(tables, "tls13-resumed") for name in names]
        full = [name for _, names in flights(tables, "tls13") for name in names]
        return all_of(
            same(both, [True, True], "key share and pre-shared key in the hellos"),
            same([n for n in full if n in _CERTIFYING], list(_CERTIFYING[:2]), "at first"),
            same([n for n in used if n in _CERTIFYING], [], "resumed"),
            same(targets(tables, "tls13-resumed"), ["/again"], "requests"),
        ).because("resumed handshake", said(tables, "tls13-resumed"))

    @claim(
        "Early data: with a key of the earlier session the request comes with the client hello.",
        source="RFC 8446 §2.3, §4.2.10",
    )
    def early_data_comes_at_once(self, tables: Tables) -> Verdict:
        """The request is read before the server hello, and answered."""
        agreed(tables, "early")
        rows = said(tables, "early")
        early = rows[rows["early"].astype(bool) & (rows["protocol_name"] == DATA)]
        hello = message(tables, "early", "ServerHello").get("frame")
        accepted = str(message(tables, "early", "EncryptedExtensions").get("extensions"))
        before = [bool(hello and frame < hello) for frame in early["frame"]]
        return all_of(
            same([bytes(d)[:10] for d in early["data"]], [b"GET /early"], "early data"),
            same(before, [True], "before the server hello"),
            same("early_data" in accepted, True, "accepted"),
        ).because("handshake", rows)

    @claim(
        "Early data can be replayed: somebody who recorded it sends it again, and the server "
        "does what it says once more.",
        source="RFC 8446 §8, appendix E.5; RFC 8470 §3",
    )
    def early_data_can_be_replayed(self, tables: Tables) -> Verdict:
        """r1 sends h1's bytes again; the server's log has both requests, each as early data."""
        agreed(tables, "early")
        first = message(tables, "early", "ClientHello").get("data")
        again = said(tables, "replay", capture=PATH)
        hellos = again.loc[again["message"] == "ClientHello", "data"].tolist()
        data = again[again["early"].astype(bool) & (again["protocol_name"] == DATA)]
        early = [bytes(d)[:10] for d in data["data"]]
        served = tables.rows("served", target="/early")["early"].tolist()
        return all_of(
            same(len(hellos) == 1 and hellos[0] == first, True, "same client hello"),
            same(early, [b"GET /early"], "replayed"),
            same(served, ["1", "1"], "served as early data"),
        ).because("replay", again)
