"""Packets with chosen senders: right to the last bit, and bounded."""

import socket
from ipaddress import IPv4Address

import pytest

from testbed import ConfigError, crafted, internet_checksum

FORGED, OWN, PUBLIC = IPv4Address("198.18.0.7"), IPv4Address("10.0.2.11"), IPv4Address("8.8.8.8")


class Wire:
    """Takes what would be sent."""

    def __init__(self):
        self.sent = []

    def sendto(self, packet, target):
        self.sent.append((packet, target))


def datagram(target=OWN):
    return crafted.udp_packet((FORGED, 4000), (target, 9), b"hello", number=70_000)


def test_a_datagram_is_what_it_says():
    packet = datagram()
    assert packet[12:20] == FORGED.packed + OWN.packed
    assert (packet[9], len(packet)) == (socket.IPPROTO_UDP, int.from_bytes(packet[2:4], "big"))
    assert packet[20:24] == bytes.fromhex("0fa00009")
    pseudo = packet[12:20] + bytes([0, socket.IPPROTO_UDP]) + packet[24:26]
    assert internet_checksum(pseudo + packet[20:]) == 0
    assert packet[28:] == b"hello"


def test_it_goes_where_the_packet_says():
    wire = Wire()
    crafted.Sender(wire).send(datagram())
    assert wire.sent == [(datagram(), ("10.0.2.11", 0))]


def test_public_targets_are_refused():
    wire = Wire()
    with pytest.raises(ConfigError, match=r"8\.8\.8\.8.*private"):
        crafted.Sender(wire).send(datagram(PUBLIC))
    assert wire.sent == []


def test_a_sender_has_an_end(monkeypatch):
    monkeypatch.setattr(crafted, "MOST_PACKETS", 2)
    wire = Wire()
    sender = crafted.Sender(wire)
    sender.send(datagram())
    sender.send(datagram())
    with pytest.raises(ConfigError, match="at most 2"):
        sender.send(datagram())
    assert len(wire.sent) == 2
