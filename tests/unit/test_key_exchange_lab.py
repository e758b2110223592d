"""The key exchange lab's own server and attacks against clients that send nonsense."""

import json
import socket
import threading

import pytest

from labs.key_exchange import hidden, lab, peer

PLAN = {"prime": lab.PRIME, "label": "lantern"}


def both():
    ours, theirs = socket.socketpair()
    return peer.Lines(ours), peer.Lines(theirs)


@pytest.mark.parametrize(
    "line", [b"", b"\n", b"[]\n", b"3\n", b"{\n", b"\xff\n", b"[" * 20_000 + b"\n", b"x" * 20_000]
)
def test_a_line_that_is_no_object_ends_the_session(line):
    ours, theirs = both()
    theirs.sock.sendall(line)
    theirs.sock.shutdown(socket.SHUT_WR)
    with pytest.raises(peer.Ended):
        ours.receive()


@pytest.mark.parametrize("number", [None, "0", 1.5, True, -1, 1 << 32, [0]])
def test_a_number_that_is_none_ends_the_session(number):
    with pytest.raises(peer.Ended):
        peer.opened(bytes(32), {"number": number, "sealed": "00" * 20})


@pytest.mark.parametrize("value", [None, 3, "0", "zz", ["00"]])
def test_a_field_that_is_not_hexadecimal_ends_the_session(value):
    with pytest.raises(peer.Ended):
        peer.octets({"public": value}, "public")


@pytest.mark.parametrize("sealed", ["", "00", "00" * 40])
def test_what_the_key_does_not_fit_does_not_open(sealed):
    assert peer.opened(bytes(32), {"number": 0, "sealed": sealed}) is None


def test_both_sides_derive_the_same_keys():
    one, two = peer.Agreement(PLAN), peer.Agreement(PLAN)
    one.agree(two.public)
    two.agree(one.public)
    assert (one.client_key, one.server_key) == (two.client_key, two.server_key)
    assert one.client_key != one.server_key
    assert peer.opened(two.client_key, peer.seal(one.client_key, 7, "再见")) == "再见"


@pytest.mark.parametrize("public", [b"", b"\0" * 10_000, b"\xff" * 300])
def test_any_public_value_of_a_client_is_survived(public):
    peer.Agreement(PLAN).agree(public)


def test_a_repeated_reply_stands_where_the_second_was(tmp_path):
    server = socket.create_server(("127.0.0.1", 0))
    plan = PLAN | {"server": "127.0.0.1", "port": server.getsockname()[1]}
    replies = [{"public": "00"}, *({"number": n, "sealed": f"{n:02}" * 20} for n in range(3))]

    def answer():
        lines = peer.Lines(server.accept()[0])
        for reply in replies:
            lines.receive()
            lines.send(reply)

    threading.Thread(target=answer, daemon=True).start()
    client, path = both()
    threading.Thread(target=peer.relay, args=(plan, path, "repeat"), daemon=True).start()
    seen = []
    for _ in replies:
        client.send({})
        seen.append(client.receive())
    assert seen == [replies[0], replies[1], replies[1], replies[3]]


def test_a_changed_message_differs_in_one_bit():
    sealed = "00" * 20
    changed = peer.flipped({"number": 0, "sealed": sealed})["sealed"]
    assert (int(changed, 16) ^ int(sealed, 16)).bit_count() == 1


@pytest.mark.parametrize("form", [str.encode, lambda t: t.encode().hex().upper().encode()])
def test_texts_are_found_in_each_form(form):
    text = lab.MESSAGES[2]
    assert lab._occurs(text.encode(), b'{"x": "' + form(text) + b'"}')
    assert lab._occurs(text.encode(), json.dumps({"x": text}).encode())
    assert not lab._occurs(text.encode(), b"third")


def test_small_exponents_are_found():
    prime = int(lab.PRIME, 16)
    assert lab.small_exponent(pow(2, 60_000, prime)) == 60_000
    assert lab.small_exponent(0) is None
    assert lab.small_exponent(pow(2, 1 << 200, prime)) is None


@pytest.mark.parametrize("form", ["{}", "{:x}", "{:#X}", "{:064x}", "x is {}."])
def test_exponents_in_messages_are_found(form):
    exponent = (1 << 255) + 12_345
    public = pow(2, exponent, int(lab.PRIME, 16))
    assert lab.sends_exponent(public, [json.dumps({"a": {"b": [form.format(exponent)]}})])
    assert not lab.sends_exponent(public, [json.dumps({"a": form.format(exponent + 1)})])


def test_long_and_many_numbers_are_survived():
    assert not lab.sends_exponent(3, ["9" * 100_000, " ".join(map(str, range(10_000)))])


def test_hidden_sessions_come_in_any_order_but_what_is_replayed_was_recorded():
    orders = [hidden.shuffled() for _ in range(50)]
    assert {tuple(sorted(order)) for order in orders} == {tuple(sorted(hidden.HIDDEN))}
    assert all(order.index("record") < order.index("replay") for order in orders)
    assert len({tuple(order) for order in orders}) > 40
