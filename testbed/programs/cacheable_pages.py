"""Pages that caches may keep, on Flask and waitress.

    cacheable_pages.py [port=8000] [flaws=no-vary] [check]

``/board`` is one text that is read, replaced and added to, ``/greeting`` depends on the client's
language, ``/home`` on the host that a proxy says was asked for. All say how long they are fresh.
"""

import sys

from flask import Flask, Response, request
from waitress import serve

if __name__ == "__main__":  # started as a file: our package is two folders up
    sys.path.insert(0, __file__.rsplit("/", 3)[0])

from testbed.programs.settings import read

FLAWS = {"no-vary": "the greeting does not say that it depends on the language"}
GREETINGS = {"en": "Good morning", "de": "Guten Morgen"}
FRESH_S = 60

app = Flask(__name__)
board = {"text": ""}
flaws: set[str] = set()


@app.route("/board", methods=["GET", "PUT", "POST"])
def one_board() -> Response:
    """One text: PUT replaces it, POST adds to it, and both return it if asked to (RFC 7240)."""
    if request.method != "GET":
        kept = board["text"] if request.method == "POST" else ""
        board["text"] = kept + request.get_data(as_text=True)
        if request.headers.get("Prefer") != "return=representation":
            return Response(status=204)
    response = _fresh(board["text"] + "\n")
    response.headers["Content-Location"] = "/board"
    return response


@app.get("/greeting")
def greeting() -> Response:
    """A greeting in the client's language."""
    language = request.accept_languages.best_match(list(GREETINGS), default="en")
    response = _fresh(GREETINGS[language] + "\n")
    if "no-vary" not in flaws:
        response.vary.add("Accept-Language")
    return response


@app.get("/home")
def home() -> Response:
    """A page whose script has an absolute address."""
    host = request.headers.get("X-Forwarded-Host", request.host)
    return _fresh(f'<script src="http://{host}/menu.js"></script>\n', "text/html")


def _fresh(text: str, kind: str = "text/plain") -> Response:
    response = Response(text, mimetype=kind)
    response.cache_control.max_age = FRESH_S
    return response


def main(words: list[str]) -> None:
    """Reads the settings, then serves until it is ended."""
    settings = {"port": "8000", "flaws": ""}
    if read(words, settings, flaws, FLAWS):
        serve(
            app,
            host="0.0.0.0",
            port=int(settings["port"]),
            threads=4,
            clear_untrusted_proxy_headers=False,  # `home` trusts whoever asks; waitress 3 would not
        )


if __name__ == "__main__":
    main(sys.argv[1:])
