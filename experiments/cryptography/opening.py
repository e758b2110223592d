"""Who can open which message: keys from the run directory, tried on what was captured at r1."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.dissect import json_messages
from testbed import Tables, first, pick

from .exchanges import ATTACKS, BEFORE, CLIENT, SERVER
from .parties import SECRETS

Keys = dict[str, bytes]
"""Whose key → the key."""

STRANGER = "another"
"""A key that nobody uses: what opens with it is not encrypted."""

LISTENER = "r1 by listening"
"""What can be had from the packets alone, by trying small exponents."""

COLUMNS = ["step", "capture", "frame", "key", "opened", "text"]


def read(path: Path, messages: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
    """Each encrypted message with each key: whether it opens, and the text.

    Args:
        path: the scenario's folder.
        messages: as `exchanges.read` finds them.
        told: the programs' logs.
    """
    rows: list[dict[str, Any]] = []
    for (step, capture), found in messages.groupby(["step", "capture"], sort=False):
        listening = listened(found) if (step, capture) == ("dh", BEFORE) else {}
        for row in found.to_dict("records"):
            message = json.loads(row["message"])
            if "ciphertext" not in message or "start" in message:  # counter mode: opens always
                continue
            keys = _keys(path, message, str(step), told) | listening
            for name, key in keys.items():
                text = _opened(message, key)
                place = {"step": step, "capture": capture, "frame": row["frame"], "key": name}
                rows.append({**place, "opened": text is not None, "text": text or ""})
    return pd.DataFrame(rows, columns=COLUMNS)


def _keys(path: Path, message: dict[str, Any], step: str, told: pd.DataFrame) -> Keys:
    """The keys to try on a message; those of Diffie and Hellman are in the logs."""
    own = path / SECRETS
    if "nonce" not in message:
        return dict(_private(own, None))
    if "wrapped_key" in message:
        return dict(_private(own, json_messages.octets(message, "wrapped_key")))
    if step.startswith("dh"):
        return dict(_agreed(step, told))
    shared = own / "shared.key"
    keys = {"shared": shared.read_bytes()} if shared.is_file() else {}
    return {**keys, STRANGER: bytes(32)}


def _private(own: Path, wrapped: bytes | None) -> Iterator[tuple[str, bytes]]:
    """Private RSA keys, or what they make of a wrapped key."""
    for name in ("h2-RSA", "h1-RSA"):
        file = own / f"{name}.key"
        if not file.is_file():
            continue
        pem = file.read_bytes()
        if wrapped is None:
            yield name, pem
        else:
            yield name, _decrypted(pem, wrapped) or b""


def _agreed(step: str, told: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    from testbed.programs.protection import derived

    for log, name in ((CLIENT, "h1"), (SERVER, "h2")):
        for secret in _column(told, step, log, "dh_secret"):
            yield name, derived(bytes.fromhex(secret))
    for pair in _column(told, step, ATTACKS, "secrets"):
        for name, secret in zip(("r1 with h1", "r1 with h2"), pair, strict=True):
            yield name, derived(bytes.fromhex(secret))


def _column(told: pd.DataFrame, step: str, log: str, name: str) -> list[Any]:
    if name not in told:
        return []
    rows = told[(told["step"] == step) & (told["log"] == log)]
    return rows[name].dropna().tolist()


def _opened(message: dict[str, Any], key: bytes) -> str | None:
    """The text of a message; None: this key does not open it."""
    ciphertext = json_messages.octets(message, "ciphertext")
    if key.startswith(b"-----BEGIN"):
        plain = _decrypted(key, ciphertext)
    else:
        plain = _unsealed(key, json_messages.octets(message, "nonce"), ciphertext)
    return None if plain is None else plain.decode(errors="replace")


def _decrypted(pem: bytes, ciphertext: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    from testbed.programs.protection import OAEP

    try:
        key: Any = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        found: bytes = key.decrypt(ciphertext, OAEP)
    except ValueError:
        return None
    return found


def _unsealed(key: bytes, nonce: bytes, ciphertext: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        return AESGCM(key).decrypt(nonce, ciphertext, None)
    except (InvalidTag, ValueError):
        return None


# ---- listening


def listened(messages: pd.DataFrame) -> Keys:
    """The key of an exchange from its group and public values, if an exponent is small."""
    from testbed.programs.protection import GROUP_BYTES, derived, number_octets

    found = [json.loads(text) for text in messages["message"]]
    stated: dict[str, Any] = next((m for m in found if "prime" in m), {})
    public = [_number(m, "public") for m in found if "public" in m]
    modulus = _number(stated, "prime")
    generator = stated.get("generator")
    if not isinstance(generator, int) or modulus.bit_length() > 8 * GROUP_BYTES:
        return {}
    if modulus < 2 or len(public) < 2:
        return {}
    exponent, whose = small_exponent(generator, public[:2], modulus)
    secret = pow(public[1 - whose], exponent, modulus)
    return {LISTENER: derived(number_octets(secret))}


def _number(message: dict[str, Any], name: str) -> int:
    return int.from_bytes(json_messages.octets(message, name), "big")


def small_exponent(base: int, powers: list[int], modulus: int) -> tuple[int, int]:
    """The exponent of one of the powers, and which, by trying all small ones; 0: none."""
    from testbed.programs.protection import SMALL_EXPONENTS

    found = 1
    for exponent in range(1, SMALL_EXPONENTS):
        found = found * base % modulus
        if found in powers:
            return exponent, powers.index(found)
    return 0, 0


# ---- what claims ask


def opens(tables: Tables, step: str, capture: str = BEFORE) -> dict[str, list[str]]:
    """Whose key → the texts that it opened in a step, none if it opened nothing.

    Raises:
        MissingDataError: there was no encrypted message, or no key to try.
    """
    rows = pick(tables, step, capture, table="opened")
    first(rows, f"encrypted messages in step '{step}' at {capture}")
    return {
        str(key): [str(t) for t in group.loc[group["opened"].astype(bool), "text"]]
        for key, group in rows.groupby("key", sort=False)
    }
