"""How a connection comes to speak HTTP/2: prior knowledge, an upgrade, ALPN."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_most, claim, near, pick, same

from .frames import frames
from .pages import CLIENT, RTTS_MS, page_s, segments


class Start(Experiment):
    """How client and server agree on a version."""

    @claim(
        "Without TLS a client that knows that the server speaks HTTP/2 begins with it at once: its "
        "first bytes are the preface.",
        source="RFC 9113 §3.3, §3.4",
    )
    def prior_knowledge_needs_no_question(self, tables: Tables) -> Verdict:
        """The client's first segment with data."""
        step = "curl"
        sent = segments(tables, step)
        sent = sent[(sent["tcp_dport"] < 1024) & (sent["tcp_payload_bytes"] > 0)]
        found = frames(tables, step, from_client=True)
        first = found.head(1)
        return all_of(
            same(first["type"].tolist(), ["PREFACE"], "first"),
            same(first["frame"].tolist(), sent["frame"].head(1).tolist(), "in frame"),
        ).because("frames", found)

    @claim(
        "A client may ask by Upgrade: h2c. A server that knows it answers 101 and goes on in "
        "HTTP/2, with the response on stream 1; one that does not answers in HTTP/1.1.",
        source="RFC 7540 §3.2 (withdrawn by RFC 9113 §3.1); RFC 9110 §7.8",
    )
    def upgrade_asks_first(self, tables: Tables) -> Verdict:
        """Apache, which upgrades, and nginx, which does not."""
        found = frames(tables, "upgrade", from_client=False)
        answers = found.loc[found["status"].notna(), ["stream", "status"]]
        statuses = {
            step: pick(tables, step, CLIENT, table="http", kind="response")["status"].tolist()
            for step in ("upgrade", "upgrade-ignored")
        }
        other = frames(tables, "upgrade-ignored")
        return all_of(
            same(statuses["upgrade"], [101], "in HTTP/1.1"),
            same(answers.to_numpy().tolist(), [[1, 200]], "then stream and status"),
            same(statuses["upgrade-ignored"], [200], "in HTTP/1.1 from nginx"),
            near(len(other), 0, abs=0, unit="frames from and to nginx"),
        ).because("frames", frames(tables, "upgrade"))

    @claim(
        "With TLS both agree in their hellos (ALPN): the client offers h2 and http/1.1, the server "
        "chooses. No round trip is spent on it.",
        source="RFC 7301 §3.1, §3.2; RFC 9113 §3.2",
    )
    def alpn_chooses_in_the_handshake(self, tables: Tables) -> Verdict:
        """A server that speaks both, and one that speaks HTTP/1.1 alone."""
        offered: dict[str, str] = {}
        chosen: dict[str, str] = {}
        took_ms: dict[str, float] = {}
        for step in ("alpn", "alpn-old"):
            hellos = pick(tables, step, CLIENT, table="hellos")
            for kind, where in (("client", offered), ("server", chosen)):
                said = hellos.loc[hellos["kind"] == kind, "alpn"].dropna().tolist()
                where[step] = said[0] if said else ""
            took_ms[step] = 1e3 * page_s(segments(tables, step))
        return all_of(
            same(set(offered.values()), {"h2,http/1.1"}, "offered"),
            same(chosen["alpn"], "h2", "chosen by the one"),
            same(chosen["alpn-old"] in ("", "http/1.1"), True, "HTTP/1.1 with the other"),
            at_most(
                took_ms["alpn"] - took_ms["alpn-old"], RTTS_MS[0] / 2, unit="ms more with HTTP/2"
            ),
        ).because("hellos", pick(tables, "alpn", CLIENT, table="hellos"))
