"""The experiment cryptography: damaged run directories, and programs with wrong input."""

import json

import pandas as pd
import pytest

from experiments.cryptography import checking, opening, speeds
from testbed import MissingDataError
from testbed.programs import hashing

PUBLIC = {"prime": "17", "generator": 5}


def messages(*found, step="dh", capture="r1-eth0"):
    rows = [
        {"step": step, "capture": capture, "frame": n, "message": json.dumps(message)}
        for n, message in enumerate(found, 1)
    ]
    return pd.DataFrame(rows)


def test_a_small_exponent_is_found_and_others_are_not():
    prime = (1 << 127) - 1
    assert opening.small_exponent(3, [7, pow(3, 4321, prime)], prime) == (4321, 1)
    assert opening.small_exponent(3, [7, 11], prime) == (0, 0)


@pytest.mark.parametrize(
    "message",
    [
        {"ciphertext": 3, "nonce": "x"},
        {"ciphertext": "00", "nonce": ""},
        {"ciphertext": "00" * 20, "nonce": "00" * 12},
        {"ciphertext": "00", "nonce": "00", "wrapped_key": "zz"},
        {"ciphertext": "00"},
        {**PUBLIC, "public": "zz"},
        {"prime": "00", "generator": 2, "public": "01"},
        {"prime": "ff" * 9999, "generator": "2", "public": "01"},
        {"mac": 1, "text": None},
        {"RSA": "00", "text": 3},
    ],
)
def test_strange_messages_open_nothing(message, tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "shared.key").write_bytes(bytes(32))
    (tmp_path / "secrets" / "h2-RSA.key").write_bytes(b"-----BEGIN nothing")
    found = opening.read(tmp_path, messages(message, message), pd.DataFrame())
    assert not found["opened"].any()
    checked = checking.read(tmp_path, messages(message, capture="r1-eth1"))
    assert not checked["valid"].any()


def test_without_keys_nothing_is_tried(tmp_path):
    sealed = {"ciphertext": "00" * 20, "nonce": "00" * 12}
    found = opening.read(tmp_path, messages(sealed, step="secret-key"), pd.DataFrame())
    assert set(found["key"]) == {opening.STRANGER}
    assert checking.read(tmp_path, messages({"mac": "00", "text": "x"})).empty


@pytest.mark.parametrize("text", ["", "[1]", '[{"operation": "AES"}]', "{}x", '{"a": 1}'])
def test_a_damaged_file_of_speeds_is_missing_data(text, tmp_path):
    (tmp_path / speeds.FILE).write_text(text)
    with pytest.raises(MissingDataError, match=r"speeds\.json: cannot be read"):
        speeds.read(tmp_path)


def test_no_file_of_speeds_is_missing_data(tmp_path):
    with pytest.raises(MissingDataError, match=r"has no speeds\.json"):
        speeds.read(tmp_path)


def test_speeds_have_all_operations():
    rows = json.loads(speeds.measured(1000, ()))
    assert {row["operation"] for row in rows} >= {"AES-256", "3DES", "RSA private", "PBKDF2"}
    assert all(row["per_s"] > 0 for row in rows)


def test_searches_that_cannot_succeed_end():
    def constant(data):
        return b"\0" * 32 if data.startswith(b"wanted") else b"\xff" * 32

    assert hashing.preimage(constant, 4, 0) == 16 << 4
    assert hashing.collision(lambda data: data.rjust(8, b"\0"), 8, 0) <= 16 << 4
