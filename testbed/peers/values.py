"""The values of a script's system calls, its files, and what can go wrong."""

from __future__ import annotations

import errno
import socket
from typing import Any

from testbed.peers.symbols import symbol

ANY: dict[str, Any] = {"any": True}
"""``...`` in a script."""


class DiffersError(Exception):
    """Something is not as the script says.

    Attributes:
        line: of the script; 0 where the step is.
        expected, came: what it says, and what was.
    """

    def __init__(self, expected: str, came: str, line: int = 0) -> None:
        self.line, self.expected, self.came = line, expected, came
        super().__init__(f"{expected}: {came}")


class UnsupportedError(Exception):
    """The script asks for what the player does not do.

    Attributes:
        line: of the script; 0 where the step is.
        expected: the step.
    """

    def __init__(self, what: str, line: int = 0) -> None:
        self.line, self.expected = line, ""
        super().__init__(what)


class Values:
    """The script's file descriptors, and its values as C sees them.

    Attributes:
        local, remote: IPv4 addresses of the tested end and the peer.
        port: that the tested end binds and connects to where the script says ``...``.
    """

    def __init__(self, local: str, remote: str, port: int) -> None:
        self.local, self.remote, self.port = local, remote, port
        self._files: dict[int, socket.socket | int] = {}

    def _value(self, value: Any) -> int:
        """An integer of the script."""
        if isinstance(value, int):
            return value
        if isinstance(value, list) and len(value) == 1:
            return self._value(value[0])
        if isinstance(value, dict):
            if "word" in value:
                return self._symbol(value["word"])
            if "or" in value:
                total = 0
                for part in value["or"]:
                    total |= self._value(part)
                return total
        raise UnsupportedError(f"the value {value}")

    @staticmethod
    def _symbol(word: str) -> int:
        found = symbol(word)
        if found is None:
            raise UnsupportedError(f"the symbol {word}")
        return found

    def _socket(self, number: Any) -> socket.socket:
        found = self._files.get(self._value(number))
        if not isinstance(found, socket.socket):
            raise OSError(errno.ENOTSOCK if found is not None else errno.EBADF, "no socket")
        return found

    def _descriptor(self, number: Any) -> int:
        found = self._files.get(self._value(number))
        if found is None:
            raise OSError(errno.EBADF, "not open")
        return found if isinstance(found, int) else found.fileno()

    def _new(self, step: dict[str, Any], file: socket.socket | int) -> int:
        """Gives a file the number that the script expects; returns that."""
        number = step["result"]
        if not isinstance(number, int) or number < 0:
            raise DiffersError(step["text"], "it succeeded", step["line"])
        self._files[number] = file
        return number

    def _address(self, value: Any, default: str) -> tuple[str, int]:
        """A socket address; ``...``: the usual port of `default`."""
        if value == ANY:
            return default, self.port
        fields = self._fields(value)
        try:
            port = self._value(fields["sin_port"]["arguments"][0])
            return fields["sin_addr"]["arguments"][0]["text"], port
        except (KeyError, TypeError, IndexError):
            raise UnsupportedError(f"the address {value}") from None

    def _fields(self, value: Any) -> dict[str, Any]:
        """The named fields of a structure."""
        if not isinstance(value, dict) or "fields" not in value:
            raise UnsupportedError(f"the value {value}")
        return {
            f["name"]: f["value"] for f in value["fields"] if isinstance(f, dict) and "name" in f
        }

    def _octets(self, value: Any, size: Any) -> bytes:
        if isinstance(value, dict) and "word" in value:
            raise UnsupportedError(f"the address {value['word']}")
        if isinstance(value, dict) and "text" in value:
            return str(value["text"]).encode("latin-1")[: self._value(size)]
        return bytes(self._value(size))
