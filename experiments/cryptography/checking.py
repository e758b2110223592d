"""Codes and signatures in the captures, checked once more: by whom could they have been made?"""

from __future__ import annotations

import hmac
import json
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.dissect import json_messages

from .exchanges import BEHIND
from .parties import SECRETS

COLUMNS = ["step", "frame", "kind", "key", "valid"]
ALGORITHMS = ("RSA", "DSA", "ECDSA")


def read(path: Path, messages: pd.DataFrame) -> pd.DataFrame:
    """Each code and signature that r1 sent on to h2: does it fit the text, under which key?

    Args:
        path: the scenario's folder.
        messages: as `exchanges.read` finds them.
    """
    rows = []
    for row in messages[messages["capture"] == BEHIND].to_dict("records"):
        message = json.loads(row["message"])
        for kind, key, valid in _checked(path / SECRETS, message):
            values = (row["step"], row["frame"], kind, key, valid)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=COLUMNS)


def _checked(own: Path, message: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """Kind, key, and whether the key fits."""
    found = []
    if "mac" in message and "text" in message and (own / "shared.key").is_file():
        found.append(("MAC", "shared by h1 and h2", _code_fits(own, message)))
    data = str(message.get("text", "")).encode()
    for name in ALGORITHMS:
        if name in message and (own / f"h1-{name}.pub").is_file():
            signature = json_messages.octets(message, name)
            found.append((name, "h1's", _signature_fits(own, f"h1-{name}", data, signature)))
    if "ECDSA" in message and (own / "h2-ECDSA.key").is_file():
        forged = _signed_by_h2(own, data)
        found.append(("ECDSA", "h2's", _signature_fits(own, "h1-ECDSA", data, forged)))
    return found


def _code_fits(own: Path, message: dict[str, Any]) -> bool:
    from testbed.programs.protection import covered

    made = hmac.digest((own / "shared.key").read_bytes(), covered(message), "sha256")
    return hmac.compare_digest(made, json_messages.octets(message, "mac"))


def _signature_fits(own: Path, signer: str, data: bytes, signature: bytes) -> bool:
    from testbed.programs.protection import Party

    return Party(own, []).check_signature(signer, data, signature)


def _signed_by_h2(own: Path, data: bytes) -> bytes:
    """The best that h2 can do to sign in h1's name: with its own key."""
    from testbed.programs.protection import Party

    return Party(own, []).sign("h2-ECDSA", data)


def keys(path: Path) -> pd.DataFrame:
    """The public keys: `name`, `bits`, `octets` of their encoding (DER)."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_public_key,
    )

    rows = []
    for file in sorted((path / SECRETS).glob("*.pub")):
        key: Any = load_pem_public_key(file.read_bytes())
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        rows.append((file.stem, key.key_size, len(encoded)))
    return pd.DataFrame(rows, columns=["name", "bits", "octets"])
