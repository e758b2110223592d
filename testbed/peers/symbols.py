"""Constants of system calls by their names, and the fields of TCP_INFO."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import termios

_OTHERS = {
    "EPOLL_CTL_ADD": 1,
    "EPOLL_CTL_DEL": 2,
    "EPOLL_CTL_MOD": 3,
    "IP_BIND_ADDRESS_NO_PORT": 24,
    "IP_FREEBIND": 15,
    "IP_MTU_DISCOVER": 10,
    "IP_PMTUDISC_DONT": 0,
    "IP_PMTUDISC_WANT": 1,
    "IP_PMTUDISC_DO": 2,
    "IP_PMTUDISC_PROBE": 3,
    "MSG_FASTOPEN": 0x20000000,
    "MSG_ZEROCOPY": 0x4000000,
    "SIOCINQ": termios.FIONREAD,
    "SIOCOUTQ": termios.TIOCOUTQ,
    "SO_ZEROCOPY": 60,
    "SOL_IP": 0,
    "SOL_TCP": 6,
    "TCP_CA_Open": 0,
    "TCP_CA_Disorder": 1,
    "TCP_CA_CWR": 2,
    "TCP_CA_Recovery": 3,
    "TCP_CA_Loss": 4,
    "TCP_ESTABLISHED": 1,
    "TCP_SYN_SENT": 2,
    "TCP_SYN_RECV": 3,
    "TCP_FIN_WAIT1": 4,
    "TCP_FIN_WAIT2": 5,
    "TCP_TIME_WAIT": 6,
    "TCP_CLOSE": 7,
    "TCP_CLOSE_WAIT": 8,
    "TCP_LAST_ACK": 9,
    "TCP_LISTEN": 10,
    "TCP_CLOSING": 11,
    "TCP_CC_INFO": 26,
    "TCP_FASTOPEN_CONNECT": 30,
    "TCP_FASTOPEN_KEY": 33,
    "TCP_FASTOPEN_NO_COOKIE": 34,
    "TCP_INFINITE_SSTHRESH": 0x7FFFFFFF,
    "TCP_INQ": 36,
    "TCP_CM_INQ": 36,
    "TCP_MAX_QUICKACKS": 16,
    "TCP_NOTSENT_LOWAT": 25,
    "TCP_TIMESTAMP": 24,
    "TCP_ULP": 31,
    "TCP_USER_TIMEOUT": 18,
    "TCPI_OPT_TIMESTAMPS": 1,
    "TCPI_OPT_SACK": 2,
    "TCPI_OPT_WSCALE": 4,
    "TCPI_OPT_ECN": 8,
    "TCPI_OPT_ECN_SEEN": 16,
    "TCPI_OPT_SYN_DATA": 32,
}
_MODULES = (socket, errno, fcntl, select, os, termios)


def symbol(name: str) -> int | None:
    """A constant of the system's headers; None if it is unknown."""
    if name in _OTHERS:
        return _OTHERS[name]
    if not name.isupper():
        return None
    values = (getattr(module, name, None) for module in _MODULES)
    return next((int(value) for value in values if isinstance(value, int)), None)


class _TcpInfo:
    """``struct tcp_info`` of Linux's ``tcp.h``, by the names that packetdrill gives its fields.

    Attributes:
        option: its number for ``getsockopt``.
        states: constants that its fields are compared with.
    """

    option = 11
    states = tuple(name for name in _OTHERS if name.startswith("TCP"))
    _octets = "state ca_state retransmits probes backoff options wscale limited"
    _words = (
        "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent"
        " last_data_recv last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss"
        " reordering rcv_rtt rcv_space total_retrans"
    )
    _long = "pacing_rate max_pacing_rate bytes_acked bytes_received"
    _more_words = "segs_out segs_in notsent_bytes min_rtt data_segs_in data_segs_out"
    _more_long = "delivery_rate busy_time rwnd_limited sndbuf_limited"
    _last_words = "delivered delivered_ce"
    _last_long = "bytes_sent bytes_retrans"
    _final_words = "dsack_dups reord_seen rcv_ooopack snd_wnd rcv_wnd rehash"
    _layout = (
        ("B", _octets),
        ("I", _words),
        ("Q", _long),
        ("I", _more_words),
        ("Q", _more_long),
        ("I", _last_words),
        ("Q", _last_long),
        ("I", _final_words),
    )

    def read(self, octets: bytes) -> dict[str, int]:
        """Name, as ``tcpi_snd_cwnd``, → value; fields that the kernel lacks are left out."""
        found: dict[str, int] = {}
        at = 0
        for kind, name in ((k, n) for k, names in self._layout for n in names.split()):
            size = struct.calcsize(kind)
            if at + size > len(octets):
                break
            found[f"tcpi_{name}"] = struct.unpack_from(kind, octets, at)[0]
            at += size
        shifts = found["tcpi_wscale"]
        return {**found, "tcpi_snd_wscale": shifts & 15, "tcpi_rcv_wscale": shifts >> 4}


TCP_INFO = _TcpInfo()
