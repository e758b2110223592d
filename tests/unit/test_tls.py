"""TLS opened with key logs and private keys, against tshark's view (tests/captures/make_tls.py)."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import packets, streams, tls
from analysis.dissect import http, tls_messages
from analysis.packets import with_secrets
from analysis.tls import key_log, private_key, schedule, suites
from testbed import tls_steps
from testbed.core.errors import ConfigError, MissingPrerequisiteError
from tests.unit.segments import talk
from tests.unit.test_cli_capture import capture

CAPTURES = Path(__file__).parents[1] / "captures"
FILE = CAPTURES / "tls.pcapng"


@pytest.fixture(scope="module")
def closed() -> pd.DataFrame:
    return packets.read(FILE, [*streams.COLUMNS, "time_ns"])


@pytest.fixture(scope="module")
def log(closed: pd.DataFrame) -> key_log.KeyLog:
    return key_log.parse(closed.attrs["key_logs"][0], "capture")


@pytest.fixture
def opened(closed: pd.DataFrame, log: key_log.KeyLog) -> pd.DataFrame:
    table = closed.copy()
    tls.set_keys(table, [log])
    return table


@pytest.fixture(scope="module")
def tshark() -> pd.DataFrame:
    table = pd.read_csv(CAPTURES / "tls.tsv", sep="\t", dtype=str).fillna("")
    return table.set_index(table["frame.number"].astype(int))


def numbers(text: str) -> Counter[int]:
    return Counter(int(word) for word in text.split(",") if word)


def test_requests_and_responses_inside(opened: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = http.read(opened)
    asked = tshark[tshark["http.request.method"] != ""]
    assert len(asked) > 10
    requests = got[got["kind"] == "request"]
    assert requests["frame"].tolist() == asked.index.tolist()
    assert requests["target"].tolist() == asked["http.request.uri"].tolist()
    responses = got[(got["kind"] == "response") & got["complete"]]
    wanted = tshark[tshark["http.response.code"] != ""]
    found = dict(zip(responses["frame"], responses["status"].astype(str), strict=True))
    assert {frame: found.get(frame) for frame in wanted.index} == dict(wanted["http.response.code"])


def test_handshake_messages_and_alerts(opened: pd.DataFrame, tshark: pd.DataFrame) -> None:
    got = tls_messages.read(opened)
    types = {name: number for number, name in tls_messages.HANDSHAKES.items()}
    descriptions = {name: number for number, name in tls_messages.ALERTS.items()}
    for protocol, names, field in (
        ("handshake", types, "tls.handshake.type"),
        ("alert", descriptions, "tls.alert_message.desc"),
    ):
        rows = got[(got["protocol_name"] == protocol) & got["opened"]]
        found = {
            int(frame): Counter(names[name] for name in group["message"])
            for frame, group in rows.groupby("frame")
        }
        wanted = {frame: numbers(text) for frame, text in tshark[field].items() if text}
        assert found == wanted


def test_without_keys_only_names_are_read(closed: pd.DataFrame, tshark: pd.DataFrame) -> None:
    assert http.read(closed).query("kind == 'request'")["tcp_dport"].tolist() == [80]
    got = tls_messages.read(closed)
    data = got[got["protocol_name"] == "application data"]
    assert len(data) and not data["opened"].any()
    names = tshark["tls.handshake.extensions_server_name"]
    assert got["server_name"].dropna().tolist() == names[names != ""].tolist()


def test_private_key_opens_rsa_key_exchange_only(closed: pd.DataFrame) -> None:
    found = private_key.secrets(closed, (CAPTURES / "tls.key.pem").read_bytes())
    table = closed.copy()
    tls.set_keys(table, [found])
    got = tls_messages.read(table)
    of_data = got[got["protocol_name"] == "application data"]
    opened = of_data[of_data["opened"]]
    assert set(opened["cipher"]) == {"TLS_RSA_WITH_AES_128_GCM_SHA256"}
    assert not of_data.loc[~of_data["opened"], "cipher"].str.startswith("TLS_RSA_").any()


@pytest.mark.parametrize("pem", ["", "-----BEGIN PRIVATE KEY-----\nxx\n", "no PEM"])
def test_a_damaged_private_key_is_named(closed: pd.DataFrame, pem: str) -> None:
    with pytest.raises(ConfigError, match=r"private key www\.key: is damaged"):
        private_key.secrets(closed, pem.encode(), "www.key")


def test_a_wrong_secret_opens_nothing(closed: pd.DataFrame, log: key_log.KeyLog) -> None:
    wrong = {key: bytes(len(secret)) for key, secret in log.secrets.items()}
    table = closed.copy()
    tls.set_keys(table, [key_log.KeyLog(wrong)])
    assert http.read(table).query("kind == 'request'")["tcp_dport"].tolist() == [80]


def test_a_hole_ends_what_is_read(opened: pd.DataFrame) -> None:
    whole = next(c for c in tls.conversations(opened) if c.server.dport and c.client.dport == 443)
    last = whole.server.frames[0]
    table = opened[opened["frame"] != last]
    table.attrs = opened.attrs
    cut = next(c for c in tls.conversations(table) if c.client.dport == 443)
    assert cut.client.runs[0].data == whole.client.runs[0].data
    assert cut.server.close == "open"
    assert not any(run.pieces for run in cut.server.runs)


@pytest.mark.parametrize("seed", range(20))
def test_damaged_bytes_do_no_harm(opened: pd.DataFrame, seed: int) -> None:
    chance = random.Random(seed)
    table = opened.copy()
    payloads = table["payload"].tolist()
    for _ in range(60):
        at = chance.randrange(len(payloads))
        if isinstance(payloads[at], bytes) and payloads[at]:
            raw = bytearray(payloads[at])
            raw[chance.randrange(len(raw))] = chance.randrange(256)
            payloads[at] = bytes(raw)
    table["payload"] = payloads
    tls.set_keys(table, [tls.keys_of(opened) or key_log.KeyLog()])
    tls_messages.read(table)
    http.read(table)


def plain(content: int, body: bytes) -> bytes:
    return bytes([content, 3, 3]) + len(body).to_bytes(2, "big") + body


def sealed(secret: bytes, *said: tuple[int, bytes]) -> bytes:
    """Records of one epoch of TLS 1.3 with AES-128-GCM (RFC 8446 §5.2)."""
    sealing: Any = schedule.protection_1_3(suites.SUITES[0x1301], secret)
    octets = b""
    for number, (content, body) in enumerate(said):
        inside = body + bytes([content])
        header = bytes([23, 3, 3]) + (len(inside) + 16).to_bytes(2, "big")
        nonce = (int.from_bytes(sealing.iv, "big") ^ number).to_bytes(12, "big")
        octets += header + sealing.cipher.encrypt(nonce, inside, header)
    return octets


def handshake(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def vector(width: int, body: bytes) -> bytes:
    return len(body).to_bytes(width, "big") + body


EARLY_DATA = b"\0\x2a" + vector(2, b"")
SECRETS = {
    name: bytes([number]) * 32
    for number, name in enumerate(
        (
            "CLIENT_EARLY_TRAFFIC_SECRET",
            *("CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET"),
            *("CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"),
        ),
        start=1,
    )
}


def with_early_data(*, taken: bool, known: bool) -> pd.DataFrame:
    """A request as early data, which comes again in the handshake's keys if it was not taken."""
    random, ask = b"r" * 32, b"GET /early HTTP/1.1\r\nHost: h\r\n\r\n"
    version = b"\0\x2b" + vector(2, vector(1, b"\3\4"))
    offered = b"\3\3" + random + b"\0" + vector(2, b"\x13\x01") + b"\1\0"
    offered += vector(2, version + EARLY_DATA)
    agreed = b"\3\3" + b"s" * 32 + b"\0\x13\x01\0" + vector(2, b"\0\x2b" + vector(2, b"\3\4"))
    early, mine, its, mine_then, its_then = SECRETS.values()
    end = [(22, handshake(5, b""))] if taken else []
    again = [] if taken else [(23, ask)]
    table = talk(
        (0, plain(22, handshake(1, offered)) + sealed(early, (23, ask), *end)),
        (1, plain(22, handshake(2, agreed))),
        (1, sealed(its, (22, handshake(8, vector(2, EARLY_DATA if taken else b""))
            + handshake(20, b"f" * 32)))),
        (0, sealed(mine, (22, handshake(20, b"f" * 32))) + sealed(mine_then, *again)),
        (1, sealed(its_then, (23, b"HTTP/1.1 204 No Content\r\n\r\n"))),
        ports=(40000, 443),
    )  # fmt: skip
    kept = {
        (label, random): secret for label, secret in SECRETS.items() if known or secret != early
    }
    tls.set_keys(table, [key_log.KeyLog(kept)])
    return table


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("taken", [True, False])
def test_early_data_count_only_if_the_server_takes_them(taken: bool, known: bool) -> None:
    table = with_early_data(taken=taken, known=known)
    read = http.read(table)
    asked = read[read["kind"] == "request"]
    data = tls_messages.read(table).query("protocol_name == 'application data' and early")
    assert set(data["refused"]) == {not taken}
    lacking = taken and not known
    assert bool(next(tls.conversations(table)).client.missing_bytes) == lacking
    frames = [] if lacking else [3] if taken else [6]
    assert asked["frame"].tolist() == frames
    assert read["status"].tolist()[-1] == 204


def test_all_messages_of_a_packet_are_read_and_in_its_words() -> None:
    early = b"HTTP/1.1 103 Early Hints\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    asked = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
    table = talk((0, asked), (1, early + answer), (0, asked * 2), ports=(40000, 80))
    found = tls_steps.read_http(table)
    assert found["status"].dropna().tolist() == [103, 200]
    assert found["target"].dropna().tolist() == ["/a"] * 3
    assert found.groupby("frame")["info"].unique().map(list).tolist() == [
        ["GET /a"],
        ["103 Early Hints, 0 bytes of body, 200 OK, 2 bytes of body"],
        ["2 × GET /a"],
    ]
    assert tls_steps.read_http(table.iloc[:1]).empty


DER = (b"\x30\x03\x02\x01\x07", b"\x30" + b"\x05\0" * 40)
LISTED = b"\0" + vector(3, b"".join(vector(3, one) + vector(2, b"") for one in DER))
PACKED = vector(3, zlib.compress(LISTED))


def compressed(algorithm: int, length: int, packed: bytes) -> bytes:
    return algorithm.to_bytes(2, "big") + length.to_bytes(3, "big") + packed


@pytest.mark.parametrize(
    ("body", "certificates", "text"),
    [
        (compressed(1, len(LISTED), PACKED), DER, "CompressedCertificate"),
        (compressed(2, len(LISTED), PACKED), None, "CompressedCertificate"),
        (compressed(1, 2**24 - 1, PACKED), None, "CompressedCertificate"),
        (compressed(1, len(LISTED) - 1, PACKED), None, "CompressedCertificate (damaged)"),
        (compressed(1, len(LISTED), PACKED[:-1] + b"!"), None, "CompressedCertificate (damaged)"),
        (compressed(1, len(LISTED), PACKED[:-9]), None, "CompressedCertificate (damaged)"),
        (b"\0", None, "CompressedCertificate (damaged)"),
    ],
)
def test_compressed_certificates(
    body: bytes, certificates: tuple[bytes, ...] | None, text: str
) -> None:
    version = b"\0\x2b" + vector(2, vector(1, b"\3\4"))
    random, its = b"r" * 32, SECRETS["SERVER_HANDSHAKE_TRAFFIC_SECRET"]
    offered = b"\3\3" + random + b"\0" + vector(2, b"\x13\x01") + b"\1\0" + vector(2, version)
    agreed = b"\3\3" + b"s" * 32 + b"\0\x13\x01\0" + vector(2, b"\0\x2b" + vector(2, b"\3\4"))
    table = talk(
        (0, plain(22, handshake(1, offered))),
        (1, plain(22, handshake(2, agreed)) + sealed(its, (22, handshake(25, body)))),
        ports=(40000, 443),
    )
    tls.set_keys(table, [key_log.KeyLog({(n, random): one for n, one in SECRETS.items()})])
    row = tls_messages.read(table).iloc[-1]
    assert row["message"] == "CompressedCertificate"
    assert row["text"] == text
    assert certificates is None or row["certificates"] == certificates
    assert certificates is not None or pd.isna(row["certificates"])


RANDOM, MASTER = "ab" * 32, "cd" * 48


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("hello", r"line 1: does not begin with a label"),
        (f"# x\nCLIENT_RANDOM {RANDOM}\n", r"line 2: has 2 words instead of 3"),
        (f"CLIENT_RANDOM {RANDOM[2:]} {MASTER}", r"line 1: the client random has 31 bytes"),
        (f"CLIENT_RANDOM {RANDOM} {MASTER[2:]}", r"line 1: the secret has 47 bytes instead of 48"),
        (f"CLIENT_RANDOM {RANDOM} zz", r"line 1: the secret is not hexadecimal"),
        (f"SERVER_TRAFFIC_SECRET_0 {RANDOM} {MASTER} x", r"line 1: has 4 words instead of 3"),
        ("\x00\x01\x02", r"line 1: does not begin"),
    ],
)
def test_bad_key_logs_are_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=f"key log k.log: {problem}"):
        key_log.parse(text.encode(), "k.log")


def test_other_lines_are_passed_over() -> None:
    text = f"# comment\r\n\r\nRSA 0123456789abcdef {MASTER}\r\nCLIENT_RANDOM {RANDOM} {MASTER}\r\n"
    found = key_log.parse(text.encode(), "k.log")
    assert found.text() == f"CLIENT_RANDOM {RANDOM} {MASTER}\n"


def test_missing_library_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cryptography", None)
    with pytest.raises(MissingPrerequisiteError, match="make extra-tls"):
        suites.require_library()


def test_pcapng_with_secrets_is_the_same_capture(tmp_path: Path) -> None:
    source, target = CAPTURES / "applications.pcap", tmp_path / "a.pcapng"
    with_secrets.write(source, target, b"# nothing\n", "h1-eth0")
    before, after = packets.read(source), packets.read(target)
    assert after["interface"].unique().tolist() == ["h1-eth0"]
    assert after.attrs["key_logs"] == [b"# nothing\n"]
    same = [name for name in before if name != "interface"]
    pd.testing.assert_frame_equal(before[same], after[same], check_categorical=False)


def test_commands_open_tls(tmp_path: Path, log: key_log.KeyLog) -> None:
    code, text, _ = capture("follow", FILE, "--stream", 1)
    assert code == 0
    assert "→ GET /account HTTP/1.1" in text
    code, text, _ = capture("show", FILE, "-n", 0, "--where", "http.request")
    assert code == 0
    assert text.count("GET /account") > 5
    own = tmp_path / "own.log"
    own.write_text(log.text())
    code, _, error = capture("show", FILE, "--keys", own)
    assert code == 0
    assert "keys" not in error
    other = tmp_path / "other.log"
    other.write_text(f"CLIENT_RANDOM {RANDOM} {MASTER}\n")
    for file in (FILE, CAPTURES / "quic.pcapng"):
        code, _, error = capture("show", file, "--keys", own, "--keys", other)
        assert code == 0
        said = " ".join(error.split())  # wrapped to the terminal's width
        assert f"keys not used: key log {other}: no connection that begins" in said
    assert f"keys not used: key log {own}: no connection" in said
    bad = tmp_path / "bad.log"
    bad.write_text(f"CLIENT_RANDOM {RANDOM}\n")
    code, _, error = capture("show", FILE, "--keys", bad)
    assert code == 2
    assert f"key log {bad}: line 1: has 2 words" in error
