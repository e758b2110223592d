"""What the hidden captures are made of: other words, addresses and ports than in the bundle.

So a program that looks for what `traffic.PUBLIC` has, or for all that it has not, finds nothing
here, or too much.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from labs.detect.traffic import MOST_GUESSES, MOST_INJECTIONS, USERS, Material
from testbed import SeededRandom

_SYLLABLES = tuple(c + v for c in "bdfgklmnprstvz" for v in "aeiou")
_FAMILIES = ("O'Neill", "D'Arcy", "O'Hara", "L'Estrange", "O'Casey", "D'Angelo")
_SEARCHES = (
    "{0}",
    "{family}'s {0}",
    "{0} or {1}",
    "{0} 'n' {1} union",
    "select {0} and drop in",
    "from {family} to {0}",
)
_INJECTIONS = (
    "{0}' OR '{1}'='{1}",
    "' or {number}={number} --",
    "{0}' UNION SELECT {1}, {2} FROM {3} --",
    "' union select {1} from {2} where {3} = '{0}",
    "{0}'; DROP TABLE {1}; --",
    "'; INSERT INTO {1} SELECT {2} FROM {3}; --",
    "%' AND length({1}) > {number} --",
    "' AND (SELECT max({1}) FROM {2}) > '{3}' --",
    "' AND {1} = (SELECT {2} FROM {3}) --",
)


def material(random: SeededRandom) -> Material:
    """Draws it."""
    nets = [
        IPv4Network("198.19.0.0/16"),
        IPv4Network(f"100.{random.integer(64, 127)}.0.0/16"),
        IPv4Network(f"172.{random.integer(16, 31)}.0.0/16"),
        IPv4Network(f"10.{random.integer(16, 250)}.0.0/16"),
    ]
    known = {*USERS, *USERS.values()}
    guesses: set[str] = set()
    while len(guesses) < MOST_GUESSES:
        number = str(random.integer(1, 2000)) if random.integer(0, 1) else ""
        guesses |= {_word(random) + number} - known
    return Material(
        searches=tuple(_filled(random, text) for text in _SEARCHES),
        injections=tuple(
            _filled(random, text) for text in random.sample(_INJECTIONS, MOST_INJECTIONS)
        ),
        guesses=tuple(sorted(guesses)),
        forged=random.choice(nets),
        long_name=f"{_word(random)}.example.org",
        watched=tuple(random.sample(range(1, 10_000), 3)),
    )


def _word(random: SeededRandom) -> str:
    return "".join(random.choice(_SYLLABLES) for _ in range(random.integer(3, 4)))


def _filled(random: SeededRandom, text: str) -> str:
    words = [_word(random) for _ in range(4)]
    return text.format(*words, family=random.choice(_FAMILIES), number=random.integer(2, 9999))
