"""TCP facts that topologies, experiments and the command line share."""

from __future__ import annotations

CONGESTION_CONTROLS = (
    "reno",
    "cubic",
    "bbr",
    "bic",
    "cdg",
    "dctcp",
    "htcp",
    "hybla",
    "illinois",
    "lp",
    "nv",
    "scalable",
    "vegas",
    "veno",
    "westwood",
    "yeah",
)
"""Congestion controls of Linux; the guest kernel has all except those its options leave out."""

MSS_BYTES = 1448
"""Payload of a full segment: MTU 1500 less IPv4 (20), TCP (20) and timestamps (12)."""
