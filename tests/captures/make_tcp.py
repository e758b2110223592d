"""Makes the TCP captures of the tests and tshark's analysis of them.

    python tests/captures/make_tcp.py

Random conversations (`tcp-random-N`) hold what real ones rarely do: holes, keep-alives, zero
windows and their probes, ACKs of data never seen. `tcp-sender` and `tcp-receiver` are both ends of
two real flows through a 5 Mbit/s token bucket with an 8-packet buffer (iperf3 -P 2, tcpdump -s
100); their tables are made again from the captures kept. Needs tshark.
"""

from __future__ import annotations

import gzip
import random
import struct
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
FIELDS = (
    "retransmission",
    "fast_retransmission",
    "spurious_retransmission",
    "out_of_order",
    "lost_segment",
    "ack_lost_segment",
    "duplicate_ack",
    "zero_window",
    "zero_window_probe",
    "zero_window_probe_ack",
    "keep_alive",
    "keep_alive_ack",
    "window_update",
    "window_full",
    "reused_ports",
    "duplicate_ack_num",
    "duplicate_ack_frame",
    "acks_frame",
    "ack_rtt",
    "bytes_in_flight",
    "initial_rtt",
)
ACK, SYN_ACK, SYN, FIN_ACK = 16, 18, 2, 17
SACK_HEAD = b"\1\1\5\x0a"


class Conversation:
    """Two sides that send and acknowledge at random, as seen between them."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.time_us = 1_700_000_000_000_000
        self.frames: list[tuple[int, bytes]] = []
        self.times: list[int] = []
        self.window = [8000, 8000]
        isn = [self.rng.randrange(1 << 32), self.rng.randrange(1 << 32)]
        if seed % 3 == 0:
            isn[0] = (1 << 32) - 3000  # wraps soon
        self.next = [isn[0] + 1, isn[1] + 1]
        self.got = [isn[1] + 1, isn[0] + 1]
        options = b"\2\4\5\xb4\3\3\2" if seed % 2 else b"\2\4\5\xb4"
        self.send(0, isn[0], 0, SYN, 0, options)
        self.send(1, isn[1], isn[0] + 1, SYN_ACK, 0, options)
        self.send(0, self.next[0], self.got[0], ACK, 0)

    def send(
        self, side: int, seq: int, ack: int, flags: int, length: int, options: bytes = b""
    ) -> None:
        """One segment, its payload cut off by the capture."""
        self.time_us += self.rng.choice([5, 50, 500, 5000, 30_000])
        options += b"\1" * (-len(options) % 4)
        hosts, ports = (b"\x0a\0\0\1", b"\x0a\0\0\2"), (40_000, 80)
        total = 40 + len(options) + length
        ip = struct.pack(
            ">BBHHHBBH4s4s", 0x45, 0, total, 0, 0x4000, 64, 6, 0, hosts[side], hosts[1 - side]
        )
        head = struct.pack(
            ">HHIIBBHHH",
            ports[side],
            ports[1 - side],
            seq % 2**32,
            ack % 2**32,
            (20 + len(options)) // 4 << 4,
            flags,
            self.window[side],
            0,
            0,
        )
        frame = b"\2" * 12 + b"\x08\0" + ip + head + options
        self.frames.append((14 + total, frame))
        self.times.append(self.time_us)

    def step(self) -> None:
        """Something happens at one of the sides."""
        rng, side = self.rng, int(self.rng.random() > 0.6)
        other = 1 - side
        new, got = self.next[side], self.got[side]
        what = rng.choices(
            ["data", "lost", "again", "ack", "duplicates", "window", "keep", "fill", "unseen"],
            [40, 10, 8, 20, 6, 4, 2, 2, 2],
        )[0]
        if what == "data":
            length = rng.choice([1, 100, 100, 500])
            self.send(side, new, got, ACK, length)
            self.next[side] += length
        elif what == "lost":
            self.next[side] += 100
        elif what == "again":
            low = self.got[other] - 100
            self.send(side, max(low, new - rng.choice([100, 200, 300, 500])), got, ACK, 100)
        elif what == "ack":
            step = rng.choice([0, 100, 200, 1000])
            self.got[side] = max(got, min(self.next[other], got + step))
            edges = (self.got[side] + 100) % 2**32, (self.got[side] + 200) % 2**32
            sack = SACK_HEAD + struct.pack(">II", *edges) if rng.random() < 0.2 else b""
            self.send(side, new, self.got[side], ACK, 0, sack)
        elif what == "duplicates":
            for _ in range(rng.randrange(1, 4)):
                self.send(side, new, got, ACK, 0)
        elif what == "window":
            self.window[side] = rng.choice([0, 8000, 8000, 25])
            self.send(side, new, got, ACK, 0)
        elif what == "keep":
            self.send(side, new - 1, got, ACK, rng.choice([0, 1]))
        elif what == "fill":
            room = self.got[other] + self.window[other] - new
            self.send(side, new, got, ACK, max(1, room))
            self.next[side] += max(1, room)
        else:
            self.send(side, new, got + 100, ACK, 0)

    def pcap(self) -> bytes:
        """The capture."""
        parts = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
        for time_us, (wire, frame) in zip(self.times, self.frames, strict=True):
            head = (time_us // 10**6, time_us % 10**6, len(frame), wire)
            parts += [struct.pack("<IIII", *head), frame]
        return b"".join(parts)


def tabulate(capture: Path) -> None:
    """Writes tshark's fields beside a capture."""
    fields = ["frame.number", "tcp.stream", *(f"tcp.analysis.{name}" for name in FIELDS)]
    words = [word for field in fields for word in ("-e", field)]
    argv = ["tshark", "-n", "-r", str(capture), "-Y", "tcp", "-T", "fields", "-E", "header=y"]
    text = subprocess.run([*argv, *words], check=True, capture_output=True).stdout
    target = capture.with_name(capture.name.replace(".pcap.gz", ".tsv.gz"))
    target.write_bytes(gzip.compress(text, mtime=0))


def main() -> None:
    """Makes the random captures, and the tables of all."""
    for seed in range(4):
        talk = Conversation(seed)
        for _ in range(350):
            talk.step()
        for side in (0, 1):
            talk.send(side, talk.next[side], talk.got[side], FIN_ACK, 0)
        path = HERE / f"tcp-random-{seed}.pcap.gz"
        path.write_bytes(gzip.compress(talk.pcap(), mtime=0))
    for name in sorted(HERE.glob("tcp-*.pcap.gz")):
        tabulate(name)


if __name__ == "__main__":
    main()
