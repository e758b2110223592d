"""What TLS costs in bytes."""

from __future__ import annotations

from testbed import Experiment, Tables, Verdict, all_of, at_least, claim, near, pick, same

from .talk import CLIENT, overhead, said


class Cost(Experiment):
    """What TLS costs in bytes."""

    @claim(
        "TLS costs a handshake per connection, in which the certificate is the longest message; a "
        "resumed session goes without it.",
        source="RFC 8446 §2.2, §4.4.2–3, §5.2",
    )
    def resumption_saves_bytes(self, tables: Tables) -> Verdict:
        """Bytes of TLS that are no data: none for HTTP, more at first than resumed."""
        first, again = (overhead(tables, step) for step in ("tls13", "tls13-resumed"))
        messages = said(tables, "tls13", protocol_name="handshake")
        longest = messages.sort_values("bytes")["message"].tolist()[-1:]
        plain = len(pick(tables, "http", CLIENT, table="tls"))
        return all_of(
            near(plain, 0, abs=0, unit="TLS messages in plain HTTP"),
            same(longest, ["Certificate"], "longest message"),
            at_least(again, 1, unit="bytes, resumed"),
            at_least(first - again, 1, unit="bytes saved"),
        ).because("handshake", said(tables, "tls13"))
