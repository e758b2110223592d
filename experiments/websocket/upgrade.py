"""The handshake: on its own, through proxies, inside TLS."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

from analysis.dissect import http
from testbed import (
    Experiment,
    MissingDataError,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    near,
    pick,
    same,
)

from .talk import CLIENT, SERVER, asked, exchange, frames, said, some_frames, status

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455 §1.3."""

SWITCHED = 101
_DIRECT = ("push", "frames", "open")


class Upgrade(Experiment):
    """The handshake: on its own, through proxies, inside TLS."""

    @claim(
        "A WebSocket connection begins as HTTP, on the same TCP connection and port: GET with "
        "Upgrade, answered with 101; after that no HTTP is spoken.",
        source="RFC 6455 §1.3, §4.1–4.2",
    )
    def begins_as_http(self, tables: Tables) -> Verdict:
        """The handshake's lines, and the ports of all that follows."""
        request = asked(tables, "frames")
        packets = pick(tables, "frames", CLIENT)
        ports = {int(port) for port in packets["tcp_dport"].dropna() if port < 1024}
        opened = packets[packets["tcp_flags"] == 2]
        found = {
            "request": f"{request['method']} HTTP/{request['version']}",
            "upgrade": http.header(request, "Upgrade").lower(),
            "connection": http.header(request, "Connection").lower(),
            "version": http.header(request, "Sec-WebSocket-Version"),
        }
        wanted = {
            "request": "GET HTTP/1.1",
            "upgrade": "websocket",
            "connection": "upgrade",
            "version": "13",
        }
        return all_of(
            same(found, wanted),
            same([int(r["status"]) for r in said(tables, "frames", "response")], [SWITCHED]),
            same(sorted(ports), [80], "ports"),
            near(len(opened), 1, abs=0, unit="TCP connection"),
        ).because("handshake", exchange(tables, "frames"))

    @claim(
        "The server proves that it understood: Sec-WebSocket-Accept is the SHA-1 of the client's "
        "random key and a fixed GUID.",
        source="RFC 6455 §1.3, §4.2.2 (5.4)",
    )
    def accept_answers_the_key(self, tables: Tables) -> Verdict:
        """The formula on each connection; keys of 16 bytes that never repeat."""
        keys, found, wanted = [], [], []
        for step in _DIRECT:
            key = http.header(asked(tables, step), "Sec-WebSocket-Key")
            answers = said(tables, step, "response")
            keys.append(key)
            wanted.append(_accept(key))
            found.append(http.header(answers[0], "Sec-WebSocket-Accept") if answers else "")
        return all_of(
            same(found, wanted, "accept"),
            same({_size_bytes(key) for key in keys}, {16}, "bytes of key"),
            near(len(set(keys)), len(keys), abs=0, unit="different keys"),
        ).because("handshakes", exchange(tables, *_DIRECT))

    @claim(
        "A proxy that knows the upgrade passes it on, and then passes on bytes: the same frames, "
        "with the same masks, travel on both sides.",
        source="RFC 6455 §1.8, RFC 9110 §7.8",
    )
    def passes_a_proxy_that_knows_it(self, tables: Tables) -> Verdict:
        """Handshake and frames before and behind the proxy."""
        captures = (CLIENT, SERVER)
        upgrades = [http.header(asked(tables, "proxy", c), "Upgrade").lower() for c in captures]
        codes = [status(tables, "proxy", c) for c in captures]
        near_side, far_side = (_seen(frames(tables, "proxy", c)) for c in captures)
        return all_of(
            same(upgrades, ["websocket"] * 2, "upgrade before and behind"),
            same(codes, [SWITCHED] * 2, "status before and behind"),
            same(sorted(near_side) == sorted(far_side), True, "same frames"),
            at_least(len(near_side), 2, unit="frames"),
        ).because("handshake at the server", exchange(tables, "proxy", capture=SERVER))

    @claim(
        "Upgrade holds for one hop only: a proxy that does not know it drops the header, the "
        "server sees a plain GET, and there is no WebSocket.",
        source="RFC 9110 §7.6.1, §7.8; RFC 6455 §4.2.1",
    )
    def fails_at_a_proxy_that_does_not(self, tables: Tables) -> Verdict:
        """The same handshake on both sides of the other proxy."""
        upgrades = [http.header(asked(tables, "ignorant", c), "Upgrade") for c in (CLIENT, SERVER)]
        if not upgrades[0]:
            raise MissingDataError("the client did not ask for an upgrade")
        code = status(tables, "ignorant")
        return all_of(
            same(upgrades[1], "", "upgrade behind the proxy"),
            same(code != SWITCHED and code >= 400, True, f"refused (status {code})"),
            near(len(frames(tables, "ignorant")), 0, abs=0, unit="frames"),
        ).because("request at the server", exchange(tables, "ignorant", capture=SERVER))

    @claim(
        "On port 443 the same handshake is inside TLS: on the path nobody sees an upgrade, only "
        "the server behind TLS does.",
        source="RFC 6455 §4.1 (5), §10.6",
    )
    def tls_hides_the_handshake(self, tables: Tables) -> Verdict:
        """Messages on both sides of the proxy that ends TLS."""
        packets = pick(tables, "secure", CLIENT)
        data = packets[packets["tcp_payload_bytes"] > 0]
        if data.empty:
            raise MissingDataError("nothing was sent to port 443")
        first = data.drop_duplicates(["tcp_sport", "tcp_dport"])  # of each side
        kinds = {bytes(octets)[:1].hex() for octets in first["payload"]}
        behind = some_frames(tables, "secure", SERVER)
        return all_of(
            same({int(p) for p in packets["tcp_dport"].dropna() if p < 1024}, {443}, "port"),
            same(kinds, {"16"}, "first bytes (16: a TLS handshake)"),
            near(len(pick(tables, "secure", CLIENT, table="http")), 0, abs=0, unit="HTTP messages"),
            near(len(frames(tables, "secure")), 0, abs=0, unit="frames on the path"),
            same(status(tables, "secure", SERVER), SWITCHED, "behind TLS"),
            at_least(len(behind), 2, unit="frames behind TLS"),
        ).because("handshake behind TLS", exchange(tables, "secure", capture=SERVER))


def _accept(key: str) -> str:
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def _size_bytes(key: str) -> int:
    try:
        return len(base64.b64decode(key, validate=True))
    except binascii.Error:
        return 0


def _seen(rows: Any) -> list[tuple[str, str, str, bytes]]:
    """Frames by what a proxy must not change."""
    columns = ["side", "type", "masking_key", "data"]
    return [
        (str(side), str(kind), str(key or ""), bytes(octets))
        for side, kind, key, octets in rows[columns].itertuples(index=False)
    ]
