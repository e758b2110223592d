"""A site with members, once for each way to protect their sessions and tokens.

    member_pages.py [port=8000] [flaws=a,b] [token_s=60] [short_s=5] [check]

``/<defence>/`` gives a visitor a session, or takes one from ``?session=``; ``/<defence>/login``
makes it a member's, ``/<defence>/account`` says whose it is.
``/<defence>/token`` gives a bearer token (RFC 6750) instead, and one that renews it,
``/<defence>/api`` says whose it is, ``/<defence>/refresh`` renews it, ``/<defence>/revoke`` logs
out. What each defence means is in `testbed.programs.defences`. It stands behind a server that says
in headers who asks, and whether by TLS.
"""

import itertools
import secrets
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

import jwt
from flask import Flask, Response, abort, jsonify, redirect, request
from waitress import serve

from testbed.programs.defences import MEMBERS, MEMBERS_FLAWS
from testbed.programs.settings import read

USERS = {"alice": "rosebud", "mallory": "letmein"}
SECRET = "the server's secret, which no client knows"
TLS = ("https", "secure", "all")
FIRST_ID = 4711
LONG_BYTES = 16
SIZES_BYTES = {"short-ids": 1, "random-ids": LONG_BYTES, "all": LONG_BYTES}
"""Defence → size of its random ids; all others count."""

MOST_BYTES = 10_000
"""Of a request's body."""


@dataclass
class Session:
    """What the server knows of an id."""

    user: str = ""
    agent: str = ""
    address: str = ""


settings = {"port": "8000", "flaws": "", "token_s": "60", "short_s": "5"}
flaws: set[str] = set()
sessions: dict[tuple[str, str], Session] = {}
"""Defence and id → session."""

renewals: dict[str, str] = {}
"""What renews a token → its user; each works once."""

revoked: dict[str, float] = {}
"""A revoked token's number → when it would have ended."""

_counted: dict[str, Iterator[int]] = {}

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES


# ---- sessions


@app.before_request
def send_to_tls() -> Any:
    """Refuses unknown pages; sends those who come without TLS to the same address with it."""
    defence = request.path.split("/")[1]
    if defence not in MEMBERS:
        abort(404)
    plain = request.headers.get("X-Forwarded-Proto") == "http"
    if plain and defence in TLS and "no-tls" not in flaws:
        return redirect(request.url.replace("http://", "https://", 1), 308)
    return None


@app.get("/<defence>/")
def enter(defence: str) -> Response:
    """Gives a visitor a session; one that is in the address is taken over."""
    given = "" if "strict-ids" in flaws else request.args.get("session", "")
    number = given if (defence, given) in sessions else _new(defence, Session())
    return _with_cookie(defence, number, Response("welcome\n", mimetype="text/plain"))


@app.post("/<defence>/login")
def login(defence: str) -> Response:
    """Makes the visitor's session a member's."""
    user = _member()
    number = request.cookies.get("session", "")
    rotates = defence in ("rotation", "all") and "no-rotation" not in flaws
    if rotates:
        sessions.pop((defence, number), None)
    if (defence, number) not in sessions:
        number = _new(defence, Session())
    sessions[defence, number] = Session(user, _agent(), _address())
    return _with_cookie(defence, number, redirect(f"/{defence}/account", 303))


@app.get("/<defence>/account")
def account(defence: str) -> str:
    """Whose the session is."""
    session = sessions.get((defence, request.cookies.get("session", "")), Session())
    binds = () if "unbound" in flaws else (defence,)
    strange = ("agent" in binds and session.agent != _agent()) or (
        ("address" in binds or "all" in binds) and session.address != _address()
    )
    if not session.user or strange:
        abort(_challenge("log in first", 'Cookie realm="/login"'))
    return f"{session.user}\n"


def _new(defence: str, session: Session) -> str:
    """An id for a new session."""
    size_bytes = SIZES_BYTES.get(defence, LONG_BYTES if "random-everywhere" in flaws else 0)
    if size_bytes and sum(one == defence for one, _ in sessions) >= 256**size_bytes:
        abort(503)
    number = ""
    while not number or (defence, number) in sessions:
        if size_bytes and "counted" not in flaws:
            number = secrets.token_hex(size_bytes)
        else:
            number = str(next(_counted.setdefault(defence, itertools.count(FIRST_ID))))
    sessions[defence, number] = session
    return number


def _with_cookie(defence: str, number: str, response: Any) -> Response:
    secure = defence in ("secure", "all") or "secure-everywhere" in flaws
    response.set_cookie(
        "session",
        number,
        path=f"/{defence}/",
        secure=secure and "no-secure" not in flaws and "no-tls" not in flaws,
        httponly=defence in ("http-only", "all"),
    )
    return response


def _member() -> str:
    user = str(request.form["user"])
    if USERS.get(user) != request.form["password"]:
        abort(403)
    return user


def _agent() -> str:
    return str(request.headers.get("User-Agent", ""))


def _address() -> str:
    return str(request.headers.get("X-Real-IP", ""))


def _challenge(why: str, scheme: str) -> Response:
    return Response(f"{why}\n", 401, {"WWW-Authenticate": scheme})


# ---- tokens


@app.post("/<defence>/token")
def token(defence: str) -> Response:
    """Gives a token, and one that renews it."""
    return _tokens(defence, _member())


@app.post("/<defence>/refresh")
def refresh(defence: str) -> Response:
    """Renews a token (RFC 6749 §6)."""
    user = renewals.pop(request.form["refresh"], "")
    if not user:
        abort(Response("cannot be renewed\n", 400))
    return _tokens(defence, user)


@app.get("/<defence>/api")
def api(defence: str) -> str:
    """Whom the token names."""
    try:
        claims = _read(defence, _bearer(), expires="endless-tokens" not in flaws)
        if claims["jti"] in revoked:
            raise jwt.InvalidTokenError("Token was revoked")
    except jwt.InvalidTokenError as error:
        abort(_challenge(str(error), "Bearer"))
    return f"{claims['sub']}\n"


@app.post("/<defence>/revoke")
def revoke(defence: str) -> str:
    """Logs the token's user out (RFC 7009); says how many tokens the server must remember."""
    try:
        claims = _read(defence, _bearer(), expires=False)
    except jwt.InvalidTokenError as error:
        abort(_challenge(str(error), "Bearer"))
    for one in [one for one, user in renewals.items() if user == claims["sub"]]:
        del renewals[one]
    if defence in ("revocation", "all") and "forgetful" not in flaws:
        revoked[claims["jti"]] = claims["exp"]
    for number in [number for number, until in revoked.items() if until < time.time()]:
        del revoked[number]
    return f"{len(revoked)}\n"


def _bearer() -> str:
    """The token in the request (RFC 6750 §2.1)."""
    return str(request.headers.get("Authorization", "")).removeprefix("Bearer ")


def _tokens(defence: str, user: str) -> Response:
    lasts_s = float(settings["short_s" if defence in ("short-lived", "all") else "token_s"])
    number, ends = secrets.token_hex(8), int(time.time() + lasts_s)
    claims = {"sub": user, "aud": defence, "exp": ends, "jti": number}
    renewal = secrets.token_hex(LONG_BYTES)
    renewals[renewal] = user
    made = jwt.encode(claims, SECRET, algorithm="HS256")
    return jsonify({"token": made, "refresh": renewal})


def _read(defence: str, sent: str, *, expires: bool) -> dict[str, Any]:
    """A token's claims, if it was made for these pages; raises jwt.InvalidTokenError."""
    options = {"verify_exp": expires}
    found: dict[str, Any] = jwt.decode(
        sent, SECRET, algorithms=["HS256"], audience=defence, options=options
    )
    return found


def main(words: list[str]) -> None:
    """Reads the settings, then serves until it is ended."""
    if read(words, settings, flaws, MEMBERS_FLAWS):
        serve(app, host="127.0.0.1", port=int(settings["port"]), threads=4)


if __name__ == "__main__":
    main(sys.argv[1:])
