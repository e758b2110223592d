"""What victim and attacker do, step by step: names, addresses, requests."""

from __future__ import annotations

from testbed import NO_DEFENCE, Defence, Layer

SITE = "www.example.org"
VICTIM, MALLORY = ("alice", "rosebud"), ("mallory", "letmein")
"""User and password."""

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""The victim's browser, as it says; many others say the same."""

SESSIONS = (
    *("none", "http-only", "https", "secure", "rotation", "short-ids", "random-ids"),
    *("agent", "address", "all"),
)
"""Defences of sessions."""

TOKENS = ("none", "https", "short-lived", "revocation", "all")
"""Defences of tokens."""

TLS = ("https", "secure", "all")
"""Defences with which the site speaks TLS."""

TRIED = {
    "own-address": ("none", "https", "address", "all"),
    "plain-link": ("none", "https", "secure", "all"),
}
"""Attack → the defences against which it is tried, if not against all."""

ATTACKS = {
    "sniffed": "id read on the LAN",
    "own-address": "the same, used from the victim's address",
    "plain-link": "id read after an http:// link",
    "fixation": "id planted by a link",
    "guessed": "id guessed",
    "token": "token read on the LAN",
    "token-kept": "the same, used after its owner's logout",
}
"""Attack → in words; the last two are on tokens."""

DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "ids_are_members"),
    "http-only": Defence("HttpOnly", Layer.BROWSER, "http_only_hides_nothing_on_the_way"),
    "https": Defence("HTTPS", Layer.CRYPTOGRAPHY, "https_hides_the_cookie"),
    "secure": Defence("HTTPS and Secure", Layer.CRYPTOGRAPHY, "secure_cookies_stay_in_tls"),
    "rotation": Defence("new id at login", Layer.APPLICATION, "rotation_stops_fixation_alone"),
    "short-ids": Defence("random ids of 8 bits", Layer.APPLICATION, "short_ids_are_found"),
    "random-ids": Defence(
        "random ids of 128 bits", Layer.APPLICATION, "long_ids_stop_guessing_alone"
    ),
    "agent": Defence("binding to the User-Agent", Layer.APPLICATION, "agents_are_copied"),
    "address": Defence("binding to the address", Layer.APPLICATION, "addresses_are_taken"),
    "short-lived": Defence("short-lived tokens", Layer.APPLICATION, "short_lives_end_theft_sooner"),
    "revocation": Defence("list of revoked tokens", Layer.SERVER, "revocation_ends_tokens"),
    "all": Defence("all together", Layer.SEVERAL, "all_together_stop_all"),
}

COUNTED_GUESSES, GUESSES = 8, 256
"""How many ids the attacker tries: next to a number of its own, and where ids are random."""

TOKEN_S, SHORT_S = 60, 5
"""How long tokens live: all, and short ones."""

KEPT_S = 10
"""When the owner has logged out, the attacker waits so long before it uses a token."""


def fits(defence: str, attack: str) -> bool:
    """True if the attack is tried against the defence."""
    if attack in ("token", "token-kept"):
        return defence in TOKENS
    return defence in TRIED.get(attack, SESSIONS)


def victim_step(what: str, defence: str) -> str:
    """The step in which the victim does something: ``login``, ``link``, ``trap``, …"""
    return f"victim's {what}, {defence}"


def step(attack: str, defence: str) -> str:
    """The step in which the attacker does."""
    return f"{attack}, {defence}"


def guesses(own: str) -> list[str]:
    """Ids that the attacker tries, seeing its own: numbers before it, or as many as it may."""
    if own.isdecimal() and len(own) > 2:
        return [str(int(own) - n) for n in range(1, COUNTED_GUESSES + 1)]
    try:
        number, digits = int(own, 16), len(own)
    except ValueError:  # it got none
        return []
    every = (f"{(number - n) % 16**digits:0{digits}x}" for n in range(1, GUESSES + 1))
    return [one for one in every if one != own]
