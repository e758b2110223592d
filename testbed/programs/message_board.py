"""A message board, once for each defence against scripts that visitors write.

    message_board.py [port=80] [flaws=a,b] [check]

``/<defence>/`` shows what visitors wrote, ``POST /<defence>/messages`` adds to it,
``/<defence>/search?word=`` repeats a word, ``/<defence>/hello`` greets by the part of the address
behind ``#``. ``POST /login`` opens a session, the same for all defences. What each does with
visitors' text is in `testbed.programs.defences`.
"""

import html
import re
import secrets
import sys

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

import bleach
from flask import Flask, Response, abort, redirect, request
from waitress import serve

from testbed.programs.defences import BOARD, BOARD_FLAWS
from testbed.programs.settings import read

POLICY = "default-src 'self'"
HARMLESS = ("b", "i", "a")
MOST_BYTES = 10_000
"""Of a request's body."""

_SCRIPTS = {
    True: "hello.textContent = 'Hello, ' + decodeURIComponent(location.hash.slice(1))",
    False: "hello.innerHTML = 'Hello, ' + decodeURIComponent(location.hash.slice(1))",
}
"""What greets, by whether the text stays text."""

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
flaws: set[str] = set()
messages: dict[str, list[tuple[str, str, str]]] = {defence: [] for defence in BOARD}
"""Defence → (author, text, link) of each message."""
sessions: dict[str, str] = {}
"""Session id → user."""


@app.post("/login")
def login() -> Response:
    """Opens a session: the same cookie for the pages of each defence."""
    number = secrets.token_hex(16)
    sessions[number] = request.form["user"]
    response = Response("welcome\n", mimetype="text/plain")
    for defence in BOARD:
        hidden = defence in ("http-only", "all") and "script-cookies" not in flaws
        path = f"/{defence}/"
        response.set_cookie("session", number, path=path, httponly=hidden, samesite="Lax")
    return response


@app.get("/")
def entrance() -> Response:
    """A page of the site without anybody's text."""
    return Response("<!doctype html><title>Entrance</title>Welcome.\n")


@app.get("/<defence>/")
def board(defence: str) -> Response:
    """All messages."""
    items = [
        f"<li>{html.escape(author)}: {_shown(defence, text)}{_link(defence, link)}</li>"
        for author, text, link in _of(defence)
    ]
    return _page(defence, f"<p>You are {_user() or 'nobody'}.</p><ul>{''.join(items)}</ul>")


@app.post("/<defence>/messages")
def add(defence: str) -> Response:
    """Adds a message; its author is whose session it is."""
    text, link = request.form["text"], request.form.get("link", "")
    _of(defence).append((_user() or "guest", text, link))
    return redirect(f"/{defence}/", 303)


@app.get("/<defence>/search")
def search(defence: str) -> Response:
    """Says what it did not find."""
    return _page(defence, f"<p>Nothing about {_shown(defence, request.args['word'])}.</p>")


@app.get("/<defence>/hello")
def hello(defence: str) -> Response:
    """A page whose script, not the server, puts text into it."""
    return _page(defence, f'<p id="hello"></p><script src="/{defence}/hello.js"></script>')


@app.get("/<defence>/hello.js")
def script(defence: str) -> Response:
    """That script."""
    _of(defence)
    careful = defence == "all" or "encoded-everywhere" in flaws
    return Response(_SCRIPTS[careful], mimetype="text/javascript")


def _of(defence: str) -> list[tuple[str, str, str]]:
    if defence not in messages:
        abort(404)
    return messages[defence]


def _user() -> str:
    return sessions.get(request.cookies.get("session", ""), "")


def _shown(defence: str, text: str) -> str:
    """A visitor's text, by the defence's rule."""
    if (defence == "encoding" and "no-encoding" not in flaws) or "encoded-everywhere" in flaws:
        return html.escape(text)
    if defence == "all" and "one-weak-page" not in flaws:
        return html.escape(text)
    if defence == "sanitising" and "no-sanitising" not in flaws:
        return str(bleach.clean(text, tags=list(HARMLESS), strip=True))
    if defence == "blocking" and "no-blocking" not in flaws:
        return re.sub("</?script[^>]*>", "", text, flags=re.IGNORECASE)
    return text


def _link(defence: str, link: str) -> str:
    """An element for a visitor's link; encoding alone does not ask where it leads."""
    checked = defence in ("all", "sanitising") and "no-sanitising" not in flaws
    checked |= "encoded-everywhere" in flaws
    if not link or (checked and not link.startswith(("http://", "https://"))):
        return ""
    return f' <a href="{html.escape(link)}">more</a>'


def _page(defence: str, body: str) -> Response:
    _of(defence)
    response = Response(f"<!doctype html><title>{defence}</title>{body}\n")
    if defence in ("policy", "all") and "no-policy" not in flaws:
        response.headers["Content-Security-Policy"] = POLICY
    return response


def main(words: list[str]) -> None:
    """Reads the settings, then serves until it is ended."""
    settings = {"port": "80", "flaws": ""}
    if read(words, settings, flaws, BOARD_FLAWS):
        serve(app, host="0.0.0.0", port=int(settings["port"]), threads=4)


if __name__ == "__main__":
    main(sys.argv[1:])
