"""A web application for experiments: notes, logins, uploads, redirects and failures.

    web_application.py [port=8000] [flaws=a,b] [session_s=60] [session_bytes=0] [token_s=60]
        [update_s=1] [check]

Notes are resources: ``/notes`` lists and adds them, ``/notes/<number>`` reads, replaces, changes
and removes one. ``/login`` opens a session (a cookie), ``/token`` gives a token (RFC 7519). With
each session ``session_bytes`` are remembered, such as a basket. All data are in memory and end with
the process. `FLAWS` are mistakes that it makes only when asked.
"""

import secrets
import sys
import time
from collections.abc import Iterator
from typing import Any

import jwt
from flask import Flask, Response, abort, jsonify, redirect, request
from waitress import serve

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.settings import read
from testbed.programs.web_sessions import Sessions

FLAWS = {
    "empty-get": "reading a note gives an empty text",
    "unsafe-get": "reading the list of notes adds one",
    "put-adds": "PUT adds a note instead of replacing it",
    "post-once": "POST of a text that is there already adds nothing",
    "no-patch": "PATCH replaces the whole note",
    "no-delete": "DELETE removes nothing",
    "by-address": "who logged in once is known by the address",
    "plain-session": "a session's id is its user's name",
    "no-logout": "logging out leaves the session as it is",
    "unverified": "a token's signature and expiry are not checked",
    "late-updates": "those who wait hear of an update half of an interval late",
    "kept-tokens": "only tokens that the server remembers are valid, until their user logs out",
}
USERS = {"alice": "rosebud", "bob": "swordfish"}
SECRET = "the server's secret, which no client knows"
MOST_BYTES = 10_000
"""Of a request's body."""

settings = {"port": "8000", "flaws": "", "session_s": "60", "session_bytes": "0"}
settings |= {"token_s": "60", "update_s": "1"}

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
notes: dict[int, dict[str, Any]] = {}
sessions = Sessions()
tokens = Sessions()
addresses: dict[str, str] = {}
"""What only some of the `FLAWS` need: tokens that are remembered, and address → user."""

flaws: set[str] = set()
_numbers = iter(range(1, 1_000_000))


# ---- notes


@app.get("/notes")
def list_notes() -> Response:
    """All notes, as JSON or as a page; with ``?word=``, those that contain it."""
    if "unsafe-get" in flaws:
        _add("a trace of a reader")
    word = request.args.get("word", "")
    found = {number: note for number, note in notes.items() if word in note["text"]}
    accepted = request.accept_mimetypes
    kinds = ["application/json", "text/html"]
    kind = accepted.best_match(kinds) if accepted else kinds[0]
    if kind is None:
        abort(406)
    if kind == "text/html":
        items = "".join(f"<li>{_escaped(note['text'])}</li>" for note in found.values())
        response = Response(f"<ul>{items}</ul>\n", mimetype=kind)
    else:
        response = jsonify(found)
    response.vary.add("Accept")
    return response


@app.post("/notes")
def add_note() -> Response:
    """Adds a note, from JSON or a form."""
    if request.content_length is None:
        abort(411)
    text = _text()
    same = [number for number, note in notes.items() if note["text"] == text]
    number = same[0] if same and "post-once" in flaws else _add(text)
    return _told(number, 201)


@app.get("/notes/<int:number>")
def read_note(number: int) -> Response:
    """One note."""
    if number not in notes:
        abort(404)
    if "empty-get" in flaws:
        return jsonify({"number": number, "text": ""})
    return _told(number, 200).make_conditional(request)


@app.put("/notes/<int:number>")
def replace_note(number: int) -> Response:
    """Replaces a note, or adds one of this number; refuses an older version than it has."""
    text = _text()
    new = number not in notes
    if not new and request.get_json().get("version", _version(number)) != _version(number):
        abort(409)
    if "put-adds" in flaws and not new:
        number, new = _add(text), True
    else:
        version = 1 if new else _version(number) + 1
        notes[number] = {"text": text, "version": version, "title": None}
    return _told(number, 201) if new else Response(status=204)


@app.patch("/notes/<int:number>")
def change_note(number: int) -> Response:
    """Changes the named members and keeps the others (RFC 7396)."""
    if number not in notes:
        abort(404)
    patch = request.get_json()  # 400 if it is not valid
    if not isinstance(patch, dict):
        abort(400)
    empty: dict[str, Any] = {"text": "", "version": 0, "title": None}
    kept = empty if "no-patch" in flaws else notes[number]
    changed = {name: value for name, value in (kept | patch).items() if value is not None}
    if not isinstance(changed.get("text"), str) or not isinstance(changed.get("title", ""), str):
        abort(422)
    notes[number] = {"title": None} | changed | {"version": kept["version"] + 1}
    return _told(number, 200)


@app.delete("/notes/<int:number>")
def remove_note(number: int) -> Response:
    """Removes a note."""
    if number not in notes:
        abort(404)
    if "no-delete" not in flaws:
        del notes[number]
    return Response(status=204)


def _add(text: str) -> int:
    number = next(_numbers)
    while number in notes:
        number = next(_numbers)
    notes[number] = {"text": text, "version": 1, "title": None}
    return number


def _version(number: int) -> int:
    return int(notes[number]["version"])


def _text() -> str:
    """The text in a request: JSON, or a form."""
    if request.mimetype == "application/x-www-form-urlencoded":
        return str(request.form["text"])  # 400 without it
    if not request.is_json:
        abort(415)
    sent = request.get_json()  # 400 if it is not valid
    if not isinstance(sent, dict) or not isinstance(sent.get("text"), str):
        abort(400)
    return str(sent["text"])


def _told(number: int, status: int) -> Response:
    response = jsonify({"number": number, **notes[number]})
    response.status_code = status
    response.set_etag(f"{number}-{notes[number]['version']}")
    if status == 201:
        response.headers["Location"] = f"/notes/{number}"
    return response


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


# ---- other answers


@app.get("/stream")
def stream() -> Response:
    """A body of unknown length, in three parts."""

    def parts() -> Iterator[str]:
        yield from ("one ", "two ", "three\n")

    return Response(parts(), mimetype="text/plain")


@app.post("/upload")
def upload() -> tuple[str, int]:
    """Takes a file of a form."""
    file = request.files["file"]
    return f"{file.filename}: {len(file.read())} bytes\n", 201


@app.get("/old-notes")
def moved_for_good() -> Any:
    """The list has another address now."""
    return redirect("/notes", 301)


@app.get("/today")
def moved_for_now() -> Any:
    """Another page every day."""
    return redirect("/notes", 302)


@app.post("/form")
def posted() -> Any:
    """Takes a form, and sends the browser to a page to look at."""
    return redirect(f"/notes/{_add(_text())}", 303)


@app.post("/inbox")
def keep_method_for_now() -> Any:
    """For now, another address takes what is posted here."""
    return redirect("/notes", 307)


@app.post("/old-inbox")
def keep_method_for_good() -> Any:
    """The same for good."""
    return redirect("/notes", 308)


@app.get("/divide")
def divide() -> str:
    """12 divided by a number; nobody thought of 0."""
    return f"{12 // int(request.args['by'])}\n"


@app.get("/slow")
def slow() -> str:
    """Takes its time."""
    time.sleep(float(request.args.get("s", "10")))
    return "done\n"


# ---- who is asking


@app.post("/login")
def login() -> Any:
    """Opens a session."""
    user, password = request.form["user"], request.form["password"]
    if USERS.get(user) != password:
        abort(403)
    number = user if "plain-session" in flaws else secrets.token_hex(16)
    if "by-address" in flaws:
        addresses[str(request.remote_addr)] = user
    _remember(sessions, number, user)
    response = redirect("/account", 303)
    response.set_cookie("session", number, httponly=True, samesite="Lax")
    return response


@app.post("/logout")
def logout() -> Any:
    """Ends the session."""
    if "no-logout" not in flaws:
        number = request.cookies.get("session", "")
        tokens.end_all(sessions.user(number))
        sessions.end(number)
    response = redirect("/notes", 303)
    response.delete_cookie("session")
    return response


@app.get("/account")
def account() -> str:
    """Who has the session."""
    if "by-address" in flaws and str(request.remote_addr) in addresses:
        return f"{addresses[str(request.remote_addr)]}\n"
    user = sessions.user(request.cookies.get("session", ""))
    if not user:  # no registered scheme says "by a cookie" (RFC 9110 §15.5.2)
        abort(Response("log in first\n", 401, {"WWW-Authenticate": 'Cookie realm="/login"'}))
    return f"{user}\n"


@app.get("/sessions")
def count_sessions() -> str:
    """How many the server remembers."""
    return f"{sessions.count()}\n"


def _remember(store: Sessions, number: str, user: str) -> None:
    store.open(number, user, float(settings["session_s"]), int(settings["session_bytes"]))


@app.get("/cookies")
def give_cookies() -> Response:
    """Sets the cookies that the query describes: ``?a=Path=/x&b=Max-Age=5;Secure``."""
    response = Response("set\n", mimetype="text/plain")
    for name, attributes in request.args.items():
        words = f"; {attributes}" if attributes else ""
        response.headers.add("Set-Cookie", f"{name}=1{words}")
    return response


@app.get("/echo", defaults={"path": ""})
@app.get("/echo/<path:path>")
def echo(path: str) -> Response:
    """The cookies that came."""
    return jsonify(dict(request.cookies))


@app.post("/token")
def token() -> Response:
    """Gives a token that says who one is; the server does not remember it."""
    user, password = request.form["user"], request.form["password"]
    if USERS.get(user) != password:
        abort(403)
    until_s = int(time.time() + float(settings["token_s"]))
    claims = {"sub": user, "exp": until_s, "jti": secrets.token_hex(8)}
    made = jwt.encode(claims, SECRET, algorithm="HS256")
    if "kept-tokens" in flaws:
        _remember(tokens, made, user)
    return jsonify({"token": made})


@app.get("/api/account")
def api_account() -> str:
    """Whom the token names."""
    words = request.headers.get("Authorization", "").split()
    sent = words[-1] if words else ""
    checked = "unverified" not in flaws
    options = {"verify_signature": checked, "verify_exp": checked}
    try:
        if "kept-tokens" in flaws and not tokens.user(sent):
            raise jwt.InvalidTokenError("unknown")
        claims = jwt.decode(sent, SECRET, algorithms=["HS256"], options=options)
    except jwt.InvalidTokenError as error:
        abort(Response(f"{error}\n", 401, {"WWW-Authenticate": "Bearer"}))
    return f"{claims['sub']}\n"


# ---- updates: one whenever the clock reaches a multiple of update_s, which is its text


@app.get("/updates", defaults={"waits": False})
@app.get("/updates/next", defaults={"waits": True})
def updates(waits: bool) -> Response:
    """Those newer than ``?after=``, perhaps none; ``/next`` waits for one (RFC 6202 §2)."""
    last: Any = request.args.get("after", type=int)
    if last is None or last > _newest():
        abort(400)
    if waits:
        _wait_for(last + 1)
    lines = [f"{number}\n" for number in range(last + 1, _newest() + 1)[-100:]]
    return Response("".join(lines), mimetype="text/plain")


@app.get("/updates/events")
def update_events() -> Response:
    """All from now on, in one response that goes on (server-sent events)."""

    def events() -> Iterator[str]:
        number = _newest()
        while True:
            number += 1
            _wait_for(number)
            yield f"data: {number}\n\n"

    return Response(events(), mimetype="text/event-stream")


def _newest() -> int:
    return int(time.time() / float(settings["update_s"]))


def _wait_for(number: int) -> None:
    update_s = float(settings["update_s"])
    late_s = update_s / 2 if "late-updates" in flaws else 0.0
    while (left_s := number * update_s + late_s - time.time()) > 0:
        time.sleep(left_s)


def main(words: list[str]) -> None:
    """Reads the settings, then serves until it is ended."""
    if read(words, settings, flaws, FLAWS):
        serve(app, host="0.0.0.0", port=int(settings["port"]), threads=4)


if __name__ == "__main__":
    main(sys.argv[1:])
