"""A bank, once for each defence against requests that foreign pages make a browser send.

    bank.py [port=8000] [flaws=a,b] [check]

``POST /<defence>/login`` opens a session, ``/<defence>/`` shows the form for transfers,
``/<defence>/transfer`` makes one, by POST, PUT, or (as careless sites do) by GET. What each defence
asks for is in `testbed.programs.defences`. It stands behind a server that speaks TLS.
"""

import html
import secrets
import sys

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from flask import Flask, Response, abort, redirect, request
from waitress import serve

from testbed.programs.defences import BANK, BANK_ACCOUNTS, BANK_FLAWS
from testbed.programs.settings import read

SITE = "https://bank.example.org"
MOST_BYTES = 10_000
"""Of a request's body."""

_BUTTON = "position:absolute;left:0;top:0;width:300px;height:100px"

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
flaws: set[str] = set()
sessions: dict[str, tuple[str, str]] = {}
"""Session id → user and token."""


@app.post("/<defence>/login")
def login(defence: str) -> Response:
    """Opens a session."""
    _known(defence)
    _check_origin(defence)
    number, user = secrets.token_hex(16), request.form["user"]
    _check_password(user)
    sessions[number] = user, secrets.token_hex(16)
    response = redirect(f"/{defence}/", 303)
    kind = {"lax": "Lax", "strict": "Strict", "all": "Lax"}.get(defence, "None")
    response.set_cookie(
        "session",
        number,
        path=f"/{defence}/",
        secure=True,
        httponly=True,
        samesite="None" if "loose-cookies" in flaws else kind,
    )
    return response


@app.get("/<defence>/")
def form(defence: str) -> Response:
    """The form for transfers, with its token, filled in as the address says."""
    _known(defence)
    user, token = _session()
    fields = {name: request.args.get(name, "") for name in ("to", "amount")}
    inputs = "".join(f'<input name="{n}" value="{html.escape(v)}">' for n, v in fields.items())
    inputs += '<input name="password" type="password">' * (defence == "password")
    response = Response(
        f"<!doctype html><title>Bank</title><p>You are {html.escape(user) or 'nobody'}.</p>"
        f'<form method="post" action="/{defence}/transfer">{inputs}'
        f'<input type="hidden" name="token" value="{token}">'
        f'<button style="{_BUTTON}">Pay</button></form>\n'
    )
    if (defence in ("framing", "all") and "framed" not in flaws) or "closed" in flaws:
        response.headers["Content-Security-Policy"] = "frame-ancestors 'none'"
    return response


@app.route("/<defence>/transfer", methods=["GET", "POST", "PUT"], provide_automatic_options=False)
def transfer(defence: str) -> Response:
    """Pays, if the session is somebody's."""
    _known(defence)
    user, token = _session()
    if not user:
        abort(401)
    _check_origin(defence)
    if (
        defence in ("token", "all")
        and "no-token" not in flaws
        and request.form.get("token") != token
    ):
        abort(403)
    if defence == "password" and "no-password" not in flaws:
        _check_password(user)
    to, amount = request.values.get("to", ""), request.values.get("amount", "")
    return Response(f"{user} pays {html.escape(to)} {html.escape(amount)}\n")


@app.route("/<defence>/transfer", methods=["OPTIONS"])
def preflight(defence: str) -> Response:
    """What a browser asks before a request that no form could send (Fetch standard)."""
    _known(defence)
    response = Response("", 204)
    if "open-preflight" in flaws:
        response.headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "")
        response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Allow-Methods"] = "PUT"
    return response


def _known(defence: str) -> None:
    if defence not in BANK:
        abort(404)


def _session() -> tuple[str, str]:
    """User and token of the request's session; empty without one."""
    return sessions.get(request.cookies.get("session", ""), ("", ""))


def _check_password(user: str) -> None:
    """Whoever asks must know the user's password, not only have the session's cookie."""
    if request.form.get("password", "") != BANK_ACCOUNTS.get(user):
        abort(403)


def _check_origin(defence: str) -> None:
    """A request that says where it comes from must come from here; one by GET says nothing."""
    wanted = defence in ("origin", "all") and "no-origin" not in flaws
    if (wanted or "closed" in flaws) and request.headers.get("Origin", SITE) != SITE:
        abort(403)
    if "closed" in flaws and request.method == "GET":
        abort(405)


def main(words: list[str]) -> None:
    """Reads the settings, then serves until it is ended."""
    settings = {"port": "8000", "flaws": ""}
    if read(words, settings, flaws, BANK_FLAWS):
        serve(app, host="0.0.0.0", port=int(settings["port"]), threads=4)


if __name__ == "__main__":
    main(sys.argv[1:])
