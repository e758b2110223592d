"""Kinds of records, and answers that are too long for UDP."""

from __future__ import annotations

from testbed import Experiment, LookUps, Verdict, address, all_of, at_least, claim, pick, same
from testbed.daemons.nsd import LARGEST_UDP_BYTES

from .resolving import WWW, WWW6


class Records(Experiment):
    """Kinds of records, and answers that are too long for UDP."""

    @claim(
        "An alias leads to another name, if need be over several; the answer holds the whole "
        "chain.",
        source="RFC 1034 §3.6.2, RFC 1035 §3.3.1",
    )
    def aliases_are_followed(self, tables: LookUps) -> Verdict:
        """alias → other → www → address."""
        return self._answer(
            tables, "alias", ["CNAME other.example.org", "CNAME www.example.org", f"A {WWW}"]
        )

    @claim(
        "MX names a domain's mail server and its preference, not its address.",
        source="RFC 1035 §3.3.9, RFC 5321 §5.1",
    )
    def mail_has_its_record(self, tables: LookUps) -> Verdict:
        """The answer about example.org."""
        return self._answer(tables, "mail", ["MX 10 mail.example.org"])

    @claim(
        "An address is looked up backwards as a name below in-addr.arpa, its bytes reversed.",
        source="RFC 1035 §3.5",
    )
    def addresses_have_names(self, tables: LookUps) -> Verdict:
        """PTR of the web server's address."""
        return self._answer(tables, "backwards", ["PTR www.example.org"])

    @claim("AAAA holds the IPv6 address of the same name.", source="RFC 3596 §2")
    def names_have_ipv6_addresses(self, tables: LookUps) -> Verdict:
        """The answer, carried over IPv4."""
        return self._answer(tables, "ipv6", [f"AAAA {WWW6}"])

    @claim(
        "An answer too long for UDP comes truncated (TC); the asker repeats the question over TCP.",
        source="RFC 1035 §4.1.1, §4.2; RFC 7766 §5; RFC 6891 §6.2.3",
    )
    def long_answers_come_by_tcp(self, tables: LookUps) -> Verdict:
        """TXT records of 2.4 kB, between resolver and server, and between client and resolver."""
        verdicts = []
        for capture, peer in (("v1-eth0", "n3-eth0"), ("h1-eth0", "v1-eth0")):
            server = address(tables, peer)
            cut = pick(tables, "long", capture, table="dns", truncated=True, ip_src=server)
            opened = pick(tables, "long", capture, ip_src=server, tcp_sport=53)
            carried = int(opened["tcp_payload_bytes"].fillna(0).sum())
            verdicts.append(
                all_of(
                    at_least(len(cut), 1, unit=f"truncated answer from {peer[:2]}"),
                    at_least(carried, LARGEST_UDP_BYTES + 1, unit="bytes by TCP"),
                )
                .because("truncated", cut)
                .because("by TCP", opened)
            )
        return all_of(*verdicts)

    def _answer(self, tables: LookUps, name: str, wanted: list[str]) -> Verdict:
        records = tables.records(name)
        found = [f"{r.type} {r.data}".rstrip(".") for r in records.itertuples()]
        return same(found, wanted, "answer").because(
            "to and from h1", pick(tables, name, "h1-eth0", table="dns")
        )
