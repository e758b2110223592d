"""The certificates that TLS servers and clients send (RFC 8446 §4.4.2, RFC 5246 §7.4.2)."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.tls import certificates

CARRIED = ("scenario", "capture", "step", "frame", "time_s", "connection", "side")
"""Columns of the messages that are kept, where they are there."""


def read(messages: pd.DataFrame) -> pd.DataFrame:
    """One row per certificate of a chain.

    Args:
        messages: as `analysis.dissect.tls_messages.read` gives them.

    Returns:
        `CARRIED`, ``place`` (0: the sender's own, then those of its issuers), the keys of
        `analysis.tls.certificates.fields`, ``signed_by_next`` (by the key of the certificate
        behind it; missing at the last), ``self_signed``.
    """
    kept = [name for name in CARRIED if name in messages]
    rows: list[dict[str, Any]] = []
    sent = messages[messages["message"] == "Certificate"]
    for message in sent[[*kept, "certificates"]].to_dict("records"):
        chain = message.pop("certificates")
        about = {str(name): value for name, value in message.items()}
        rows += [about | row for row in _chain(chain if isinstance(chain, tuple) else ())]
    columns = [*kept, "place", *certificates.FIELDS, "signed_by_next", "self_signed"]
    return pd.DataFrame(rows, columns=columns).astype({"place": "int64"})


def statuses(messages: pd.DataFrame) -> pd.DataFrame:
    """One row per stapled OCSP response of TLS 1.2 (RFC 6066 §8).

    Returns:
        `CARRIED`, and the keys of `analysis.tls.certificates.status`.
    """
    kept = [name for name in CARRIED if name in messages]
    sent = messages[(messages["message"] == "CertificateStatus") & messages["data"].notna()]
    rows = [
        {key: message[key] for key in kept} | certificates.status(message["data"])
        for message in sent.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=[*kept, "status", "problem"])


def _chain(chain: tuple[bytes, ...]) -> list[dict[str, Any]]:
    above = [*chain[1:], None][: len(chain)]
    return [
        {
            "place": place,
            **certificates.fields(der),
            "signed_by_next": certificates.is_signed_by(der, issuer) if issuer else None,
            "self_signed": certificates.is_signed_by(der, der),
        }
        for place, (der, issuer) in enumerate(zip(chain, above, strict=True))
    ]
