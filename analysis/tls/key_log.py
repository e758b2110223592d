"""Key logs: the secrets of TLS connections, as endpoints write them (SSLKEYLOGFILE, RFC 9850).

One secret per line: a label, the client's random value, the secret; both in hexadecimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from testbed.core.errors import ConfigError

MOST_BYTES = 64 << 20
"""Of one key log."""

MASTER_SECRET = "CLIENT_RANDOM"
"""The label of TLS 1.2's master secret; TLS 1.3 has a label for each of its secrets."""

_HEX = re.compile(r"(?:[0-9a-fA-F]{2})+")
_RANDOM_BYTES = 32
_SECRET_BYTES = {MASTER_SECRET: (48,)}
_HASH_BYTES = (32, 48)
_OF_TLS_1_3 = re.compile(
    r"(CLIENT|SERVER)_(HANDSHAKE_TRAFFIC|TRAFFIC)_SECRET(_\d+)?|CLIENT_EARLY_TRAFFIC_SECRET"
    r"|(EARLY_)?EXPORTER_SECRET"
)


@dataclass(frozen=True, eq=False)
class KeyLog:
    """Secrets by label and the client's random value.

    Attributes:
        secrets: (label, random) → secret.
    """

    secrets: Mapping[tuple[str, bytes], bytes] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.secrets)

    def __deepcopy__(self, memo: Any) -> KeyLog:
        return self  # it never changes, and pandas copies a table's attributes at every step

    def get(self, label: str, client_random: bytes) -> bytes | None:
        """A secret of the connection with this random value."""
        return self.secrets.get((label, client_random))

    def knows(self, client_random: bytes) -> bool:
        """True if there is any secret of the connection."""
        return client_random in self._randoms

    @property
    def _randoms(self) -> frozenset[bytes]:
        found: frozenset[bytes] | None = self.__dict__.get("_known")
        if found is None:
            found = frozenset(random for _, random in self.secrets)
            self.__dict__["_known"] = found
        return found

    def text(self) -> str:
        """The secrets as a key log."""
        return "".join(
            f"{label} {random.hex()} {secret.hex()}\n"
            for (label, random), secret in self.secrets.items()
        )

    @classmethod
    def merged(cls, logs: Iterable[KeyLog]) -> KeyLog:
        """The secrets of several logs."""
        return cls({key: secret for log in logs for key, secret in log.secrets.items()})


def read(path: Path) -> KeyLog:
    """The secrets of a file.

    Raises:
        ConfigError: it cannot be read, or is not a key log; says in which line.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"key log {path}: {error.strerror or error}") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(f"key log {path}: is larger than {MOST_BYTES >> 20} MiB")
    return parse(data, str(path))


def parse(data: bytes, name: str) -> KeyLog:
    """The secrets of a key log; labels of other protocols (SSH, WireGuard) are passed over.

    Args:
        data: its bytes.
        name: what messages call it.

    Raises:
        ConfigError: a line is not of this format; says which, and why.
    """
    found: dict[tuple[str, bytes], bytes] = {}
    for number, raw in enumerate(data.split(b"\n"), 1):
        line = raw.decode("latin-1").strip()
        if not line or line.startswith("#"):
            continue
        fields = line.split()
        if problem := _problem(fields):
            raise ConfigError(f"key log {name}: line {number}: {problem}")
        if fields[0] in _SECRET_BYTES or _OF_TLS_1_3.fullmatch(fields[0]):
            found[fields[0], bytes.fromhex(fields[1])] = bytes.fromhex(fields[2])
    return KeyLog(found)


def unused(logs: Mapping[Path, KeyLog], client_randoms: Iterable[bytes]) -> list[Path]:
    """Those logs with secrets that have none of the connections with these random values."""
    missing = {path: log for path, log in logs.items() if log}
    randoms = iter(client_randoms)
    while missing and (random := next(randoms, None)) is not None:
        missing = {path: log for path, log in missing.items() if not log.knows(random)}
    return list(missing)


def _problem(fields: list[str]) -> str:
    """What is wrong with a line; empty if nothing is."""
    label = fields[0]
    if not re.fullmatch(r"[A-Z][A-Z0-9_]{0,63}", label):
        return "does not begin with a label such as CLIENT_RANDOM"
    if label not in _SECRET_BYTES and not _OF_TLS_1_3.fullmatch(label):
        return "" if len(fields) > 1 else f"has nothing behind {label}"
    if len(fields) != 3:
        return f"has {len(fields)} words instead of 3: label, client random, secret"
    for what, text, sizes in (
        ("client random", fields[1], (_RANDOM_BYTES,)),
        ("secret", fields[2], _SECRET_BYTES.get(label, _HASH_BYTES)),
    ):
        if not _HEX.fullmatch(text):
            return f"the {what} is not hexadecimal"
        if len(text) // 2 not in sizes:
            allowed = " or ".join(map(str, sizes))
            return f"the {what} has {len(text) // 2} bytes instead of {allowed}"
    return ""
