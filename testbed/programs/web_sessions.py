"""What a web server remembers of its users, each under an id, until it is over."""

import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Session:
    """What is remembered under one id.

    Attributes:
        user: who logged in.
        until_s: when it is over, in seconds since 1970.
        basket: what else is remembered, such as what the user wants to buy.
    """

    user: str
    until_s: float
    basket: bytes


class Sessions:
    """Sessions by their ids; those that are over are forgotten at the next call."""

    def __init__(self) -> None:
        self._kept: dict[str, Session] = {}

    def open(self, number: str, user: str, lasts_s: float, basket_bytes: int) -> None:
        """Remembers a user for some time."""
        self._forget()
        self._kept[number] = Session(user, time.time() + lasts_s, b"." * basket_bytes)

    def user(self, number: str) -> str:
        """Whose session it is; empty: nobody's."""
        self._forget()
        found = self._kept.get(number)
        return found.user if found else ""

    def end(self, number: str) -> None:
        """Forgets one session, if it is known."""
        self._kept.pop(number, None)

    def end_all(self, user: str) -> None:
        """Forgets all sessions of a user."""
        for number in [number for number, one in [*self._kept.items()] if one.user == user]:
            self.end(number)

    def count(self) -> int:
        """How many there are."""
        self._forget()
        return len(self._kept)

    def _forget(self) -> None:
        now_s = time.time()
        for number in [number for number, one in [*self._kept.items()] if one.until_s <= now_s]:
            self.end(number)
