"""DHCP messages of a capture (RFC 2131, options of RFC 2132)."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Any

import pandas as pd

from analysis import datagrams, decode_as
from analysis.dissect import tables

PORTS = (67, 68)
COLUMNS = datagrams.COLUMNS
"""What `packets` must hold."""

MAGIC = b"\x63\x82\x53\x63"
TYPES = {
    1: "DISCOVER",
    2: "OFFER",
    3: "REQUEST",
    4: "DECLINE",
    5: "ACK",
    6: "NAK",
    7: "RELEASE",
    8: "INFORM",
}
"""RFC 2132 §9.6."""

MESSAGE = (
    "frame",
    "type",
    "xid",
    "secs_s",
    "broadcast",
    "client_ip",
    "your_ip",
    "server_ip",
    "relay_ip",
    "client_mac",
    "requested_ip",
    "server_id",
    "lease_s",
    "renewal_s",
    "rebinding_s",
    "mask",
    "routers",
    "dns_servers",
    "host_name",
    "hops",
    "cut",
    "malformed",
)

_ADDRESSES = {50: "requested_ip", 54: "server_id", 1: "mask", 3: "routers", 6: "dns_servers"}
_TIMES = {51: "lease_s", 58: "renewal_s", 59: "rebinding_s"}
_PAD, _END, _HOST_NAME, _MESSAGE_TYPE = 0, 255, 12, 53


def read(packets: pd.DataFrame, ports: Collection[int] | None = None) -> pd.DataFrame:
    """One row per message.

    Args:
        packets: with `COLUMNS`; further columns such as ``time_ns`` are carried along.
        ports: of UDP; None: `PORTS`, as `analysis.decode_as` changes them.

    Returns:
        the columns of `packets` but the payload, and: ``type`` (``DISCOVER``, ... or ``BOOTP``),
        ``xid``, addresses as text (``0.0.0.0`` as None; several with commas), times in s,
        ``host_name``, ``hops`` (relays passed), ``cut`` (the capture lacks a part), ``malformed``.
    """
    ports = decode_as.ports(packets, "dhcp", PORTS) if ports is None else ports
    chosen = tables.of_udp(packets, ports)
    columns = (chosen[name].tolist() for name in ("frame", "payload", "cut"))
    rows = [_message(*one) for one in zip(*columns, strict=True)]
    return tables.with_messages(chosen, rows, MESSAGE)


def _message(frame: int, data: bytes, cut: bool) -> dict[str, Any]:
    """The fixed part (RFC 2131 §2), then the options."""
    if len(data) < 236:
        return {"frame": frame, "cut": cut, "malformed": not cut}
    row: dict[str, Any] = {
        "frame": frame,
        "type": "BOOTP",
        "hops": data[3],
        "xid": int.from_bytes(data[4:8], "big"),
        "secs_s": int.from_bytes(data[8:10], "big"),
        "broadcast": bool(data[10] & 0x80),
        "client_ip": _address(data[12:16]),
        "your_ip": _address(data[16:20]),
        "server_ip": _address(data[20:24]),
        "relay_ip": _address(data[24:28]),
        "client_mac": data[28:34].hex(":") if data[1] == 1 and data[2] == 6 else None,
        "cut": cut,
        "malformed": False,
    }
    if data[236:240] == MAGIC:
        row["malformed"] = not _options(data, 240, row) and not cut
    return row


def _options(data: bytes, here: int, row: dict[str, Any]) -> bool:
    """Takes in the options; False if they run over the end."""
    while here < len(data):
        code = data[here]
        if code == _END:
            return True
        if code == _PAD:
            here += 1
            continue
        if here + 2 > len(data) or here + 2 + data[here + 1] > len(data):
            return False
        value = data[here + 2 : here + 2 + data[here + 1]]
        here += 2 + len(value)
        if not _option(code, value, row):
            return False
    return False  # no end option (RFC 2132 §3.2)


def _option(code: int, value: bytes, row: dict[str, Any]) -> bool:
    """Takes in one option; False if its length is wrong."""
    if code == _MESSAGE_TYPE:
        if len(value) != 1:
            return False
        row["type"] = TYPES.get(value[0], str(value[0]))
    elif code in _ADDRESSES:
        if not value or len(value) % 4:
            return False
        several = (value[at : at + 4] for at in range(0, len(value), 4))
        row[_ADDRESSES[code]] = ",".join(str(ipaddress.IPv4Address(one)) for one in several)
    elif code in _TIMES:
        if len(value) != 4:
            return False
        row[_TIMES[code]] = int.from_bytes(value, "big")
    elif code == _HOST_NAME:
        row["host_name"] = value.decode("ascii", "replace")
    return True


def _address(octets: bytes) -> str | None:
    return str(ipaddress.IPv4Address(octets)) if any(octets) else None
