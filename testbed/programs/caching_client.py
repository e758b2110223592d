"""Visits pages as a browser does that keeps responses: CacheControl on requests, of Debian.

    caching_client.py FILE

FILE holds a JSON list of visits: ``{"step": name, "url": url}`` and, where needed, ``headers`` and
``wait_s`` to wait first. Redirects are followed. One JSON object per line says when a visit began,
and what came of it; `cached` says that the last response came from the client's own memory.
"""

import json
import sys
import time
from pathlib import Path

import requests
from cachecontrol import CacheControl

_LIMIT_S = 20.0
_PAUSE_S = 0.5


def main(arguments: list[str]) -> None:
    """Does all visits of the file, one after another, with one memory."""
    session = CacheControl(requests.Session())
    session.trust_env = False  # no proxies or passwords of the environment
    for visit in json.loads(Path(arguments[0]).read_text(encoding="utf-8")):
        time.sleep(visit.get("wait_s", _PAUSE_S))
        tell(step=visit["step"])
        try:
            found = session.get(visit["url"], headers=visit.get("headers"), timeout=_LIMIT_S)
        except requests.RequestException as error:  # the next visit still comes
            tell(error=type(error).__name__)
        else:
            tell(status=found.status_code, cached=found.from_cache, text=found.text[:200])


def tell(**row: object) -> None:
    """One line of output, at once."""
    print(json.dumps({"time_ns": time.time_ns(), **row}), flush=True)  # noqa: T201 (its output)


if __name__ == "__main__":
    main(sys.argv[1:])
