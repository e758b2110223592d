"""The sockets lab's own client and server against programs that flood, drip or say nothing."""

import socket
import threading
import time

import pytest

from labs.sockets import lab, peer
from testbed.core.claims import Status


def heard(send, longest_s=5.0):
    """What the peer makes of what `send` sends."""
    ours, theirs = socket.socketpair()

    def run():
        with theirs:
            send(theirs)

    sender = threading.Thread(target=run, daemon=True)
    sender.start()
    with ours:
        plan = {"prefix_bytes": 2, "ends_s": time.monotonic() + longest_s}
        return peer.messages(ours, plan)


def until_it_breaks(octets, pause_s=0.0):
    def send(connection):
        with pytest.raises(OSError):
            while True:
                connection.sendall(octets)
                time.sleep(pause_s)

    return send


def test_messages_and_their_end_are_read():
    assert heard(lambda c: c.sendall(b"\0\1a\0\2bc")) == (["a", "bc"], "")
    assert heard(lambda c: c.sendall(b"\0\5a")) == ([], "then 3 bytes of half a message")


def test_a_flood_of_messages_is_left():
    found, end = heard(until_it_breaks(b"\0\0" * 5000))
    assert (len(found), end) == (peer.MOST_MESSAGES, "then too many to read")


def test_a_flood_of_bytes_is_left():
    assert heard(until_it_breaks(b"\xff" * 9000)) == ([], "then more than 16384 bytes in all")


def test_a_drip_is_left_at_the_end_of_the_time():
    assert heard(until_it_breaks(b"\0", 0.05), 0.3) == ([""] * 3, "then no end within 18 s")


@pytest.mark.parametrize("text", ["", "Traceback"])
def test_a_program_of_ours_without_a_report_has_got_nothing(text):
    found, end = lab.reported(text, "answers")
    verdict = lab.Lab(lab.Lab.Parameters()).judge(found, end)
    assert verdict.status is Status.FAIL
    assert verdict.observed == "0 answers, and our program did not end within 20 s"
