"""Messages in a stream: three kinds of framing, each cut in many ways, and wrong readers."""

from __future__ import annotations

import pandas as pd

from testbed import Experiment, Tables, Verdict, all_of, at_least, at_most, claim, pick, presuming

READERS = ("length", "size", "delimiter")

FEWEST_WAYS = 20
"""How many ways of cutting the stream must be tried for a claim about all of them."""


class Messages(Experiment):
    """Messages in a stream: three kinds of framing, each cut in many ways."""

    @claim(
        "With a length prefix, messages are recovered however the stream is cut.",
        source="RFC 4571 §2; RFC 9293 §3.9.1.3",
    )
    def length_prefix_is_right(self, tables: Tables) -> Verdict:
        """Whole, byte by byte, at each place, at random places."""
        return self._always_right(tables, "length")

    @claim(
        "Messages of fixed size are recovered however the stream is cut.",
        source="RFC 9293 §3.9.1.3",
    )
    def fixed_size_is_right(self, tables: Tables) -> Verdict:
        """The same with messages filled up to eight bytes."""
        return self._always_right(tables, "size")

    @claim(
        "With a delimiter, messages are recovered however the stream is cut, even inside the "
        "delimiter.",
        source="RFC 5321 §2.3.8; RFC 9112 §2.2",
    )
    def delimiter_is_right(self, tables: Tables) -> Verdict:
        """The same with CR LF behind each message."""
        return self._always_right(tables, "delimiter")

    @claim(
        "A reader that treats each read as one message fails for most ways of cutting the stream.",
        source="RFC 9293 §3.9.1.3",
    )
    def a_read_is_no_message(self, tables: Tables) -> Verdict:
        """The three naive readers and the same streams."""
        tried = [self._tried(tables, f"naive-{reader}") for reader in READERS]
        return all_of(
            *(
                at_least(float((~t["right"]).mean()), 0.5, unit="of the streams read wrongly")
                for t in tried
            )
        ).because(
            "wrong readings", pd.concat(t[~t["right"]].head(3) for t in tried), scenario="main"
        )

    def _tried(self, tables: Tables, reader: str) -> pd.DataFrame:
        return pick(tables, f"framing-{reader}", table="framing")

    def _always_right(self, tables: Tables, reader: str) -> Verdict:
        tried = self._tried(tables, reader)
        split = tried[tried["reads"] > 1]
        return presuming(
            at_least(len(split), FEWEST_WAYS, unit="streams that came in several reads"),
            at_most(int((~tried["right"]).sum()), 0, unit="streams read wrongly"),
        ).because("streams", tried, scenario="main")
