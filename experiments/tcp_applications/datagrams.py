"""DNS, SNMP and TFTP: questions and files in datagrams."""

from __future__ import annotations

import pandas as pd

from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, claim, near, pick, same
from testbed.daemons.accounts import PASSWORD

from .files import CLIENT, said

BLOCK_BYTES = 512
LONG_BYTES, EVEN_BYTES = 1300, 1024
RETRY_S = 5.0
"""How long atftpd waits for an acknowledgement."""


class Datagrams(Experiment):
    """DNS, SNMP and TFTP: questions and files in datagrams."""

    @claim(
        "A DNS question is one datagram, and so is its answer.",
        source="RFC 1035 §4.2.1",
    )
    def dns_takes_two_datagrams(self, tables: Tables) -> Verdict:
        """All packets of the look-up."""
        seen = pick(tables, "dns", CLIENT, ip_proto={6, 17})
        talk = said(tables, "dns", service="DNS")
        return all_of(
            near(len(seen), 2, abs=0, unit="packets"),
            same(list(talk["by"]), ["client", "server"], "speakers"),
        ).because("the look-up", seen)

    @claim(
        "SNMP matches an answer to its question by the request-id; an agent ignores questions "
        "with the wrong community, and the client asks again.",
        source="RFC 3416 §4.1, §4.2.1; RFC 3584 §5.2; RFC 1157 §4.1",
    )
    def snmp_answers_by_number(self, tables: Tables) -> Verdict:
        """One object, with the right community and with another."""
        talk = said(tables, "snmp", service="SNMP")
        refused = said(tables, "snmp-refused", service="SNMP")
        return all_of(
            same(list(talk["kind"]), ["GetRequest", "Response"], "PDUs"),
            near(talk["number"].nunique(), 1, abs=0, unit="request-id"),
            same(set(talk["text"]), {PASSWORD}, "community"),
            same(list(refused["kind"]), ["GetRequest"] * 2, "with another community"),
        ).because("questions and answers", pd.concat([talk, refused]))

    @claim(
        "TFTP goes in lock-step: each block of 512 bytes waits for the acknowledgement of the one "
        "before; the server answers from a new port.",
        source="RFC 1350 §2, §4",
    )
    def tftp_goes_in_lock_step(self, tables: Tables) -> Verdict:
        """A file of three blocks, of which the last is empty."""
        talk = said(tables, "tftp-even", service="TFTP")
        order = [(str(kind), int(n)) for kind, n in zip(talk["kind"], talk["number"], strict=True)]
        blocks = [(kind, n) for n in (1, 2, 3) for kind in ("DATA", "ACK")]
        ports = set(talk.loc[talk["by"] == "server", "udp_sport"].astype(int))
        full = talk[(talk["kind"] == "DATA") & (talk["number"] < 3)]
        return all_of(
            same(order, [("RRQ", -1), *blocks], "messages"),
            same(set(full["size_bytes"]), {BLOCK_BYTES}, "bytes of full blocks"),
            near(len(ports), 1, abs=0, unit="port of the server"),
            at_least(min(ports, default=None), 1024, unit="is its number"),
        ).because("the transfer", talk)

    @claim(
        "TFTP must repeat lost blocks itself: after its own timer it sends the same block again, "
        "and is silent until then.",
        source="RFC 1350 §2; RFC 1123 §4.2.3.2",
    )
    def tftp_repeats_what_is_lost(self, tables: Tables) -> Verdict:
        """Block 2 is dropped at r1 once."""
        sent = said(tables, "tftp", "r1-eth1", kind="DATA", number=2)
        talk = said(tables, "tftp", service="TFTP")
        came = talk[talk["kind"] == "DATA"].drop_duplicates("number")
        pauses = talk["time_s"].diff().fillna(0.0)
        return all_of(
            at_least(len(sent), 2, unit="times block 2 on the path"),
            same(list(came["number"]), [1, 2, 3], "blocks that came"),
            near(int(came["size_bytes"].sum()), LONG_BYTES, abs=0, unit="bytes"),
            near(float(pauses.max()) if len(talk) else None, RETRY_S, abs=0.2, unit="s of silence"),
        ).because("block 2", pd.concat([sent, talk]))

    @claim(
        "A block shorter than 512 bytes ends the transfer; if there is none, an empty block does.",
        source="RFC 1350 §6",
    )
    def tftp_ends_with_a_short_block(self, tables: Tables) -> Verdict:
        """1300 bytes, and 1024."""
        sizes = {
            step: list(said(tables, step, kind="DATA").drop_duplicates("number")["size_bytes"])
            for step in ("tftp", "tftp-even")
        }
        wanted = {"tftp": [512, 512, 276], "tftp-even": [512, 512, 0]}
        more = {s: said(tables, s, kind="DATA", by="client") for s in sizes}
        return all_of(
            same(sizes, wanted, "bytes of blocks"),
            at_most(sum(len(rows) for rows in more.values()), 0, unit="blocks from the client"),
        ).because("last blocks", pd.concat(said(tables, s, kind="DATA").tail(1) for s in sizes))
