"""Visits a web site as a list of requests says, and reports what came, one JSON object per line.

    visitor.py PLAN

PLAN is a file with a JSON list of visits. Each has a ``name`` and a ``path``, and may have

- ``who``: whose cookies it sends and keeps; without it, none;
- ``method``, ``fields`` (a form's, sent as its body), ``query``, ``headers``;
- ``form``: the action of a form in the page at ``page`` (by default the front page): the visitor
  gets that page first, and sends what is in the form, with `fields` in place of what it has; if
  ``stale`` is true, the form is the one of the last such visit;
- ``keep``: a name under which the visitor's session is remembered as it is after the visit;
- ``cookie``: the session to send instead of one's own. ``$alice`` in it, or in a field, is the
  current session of alice; ``$alice-1`` is what comes one before it, if it ends with a number.

A page is parsed as a browser does (html5lib). Reported of it are its text, its links and scripts,
everything that is in it, decoded (``everything``: texts, comments, attributes), and in which places
the plan's ``mark`` (by default, the word mark) followed by a number occurs.
"""

import http.client
import json
import re
import sys
import time
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

LIMIT_S = 10.0
"""For one response."""

_MOST_BYTES = 200_000
_COOKIE = "session"
MARK = "mark"
"""What is looked for in pages, with a number behind it, unless the plan names another word."""

_SESSION = re.compile(r"\$([a-z]+)([+-]\d+)?")
_UNSEEN = re.compile(r"[\x00-\x20]")
"""What browsers ignore in front of, and partly within, an address (URL standard, §4.4)."""

_TEXT_ONLY = ("script", "style")


class Visitor:
    """Makes visits to one server.

    Attributes:
        sessions: whose → the value of the session's cookie.
        forms: (whose, action) → the fields of the form that was seen last.
    """

    def __init__(self, address: str, port: int, mark: str = MARK) -> None:
        self._address, self._port = address, port
        self._marks = re.compile(re.escape(mark) + r"\d+")
        self.sessions: dict[str, str] = {}
        self.forms: dict[tuple[str, str], dict[str, str]] = {}

    def visit(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Makes one visit; returns what is reported of it."""
        fields = {name: self._filled(text) for name, text in plan.get("fields", {}).items()}
        who, action = plan.get("who", ""), plan.get("form", "")
        if action:
            if not plan.get("stale"):
                page = self.ask({"path": plan.get("page", "/"), "who": who})
                self.forms[who, action] = _form(page["body"], action)
            fields = {**self.forms.get((who, action), {}), **fields}
        sent = {"path": action, "method": "POST", **plan} if action else plan
        got = self.ask(sent, fields)
        if "keep" in plan:
            self.sessions[plan["keep"]] = self.sessions.get(who, "")
        html = "html" in got["headers"].get("content-type", "")
        return {"visit": plan["name"], **got, **(self._report(got["body"]) if html else {})}

    def _report(self, page: str) -> dict[str, Any]:
        try:
            return _report(page, self._marks)
        except Exception as error:  # noqa: BLE001 (the parser has faults of its own)
            return {"unreadable": f"{type(error).__name__}: {error}"}

    def ask(self, plan: dict[str, Any], fields: dict[str, str] | None = None) -> dict[str, Any]:
        """One request and its response."""
        method, path = plan.get("method", "GET"), plan["path"]
        if plan.get("query"):
            path += "?" + urlencode(plan["query"])
        who = plan.get("who", "")
        session = self._filled(plan["cookie"]) if "cookie" in plan else self.sessions.get(who)
        headers = {"Connection": "close", **plan.get("headers", {})}
        if session is not None:
            headers["Cookie"] = f"{_COOKIE}={session}"
        body = None
        if fields is not None and method != "GET":
            body = urlencode(fields)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        began_s = time.monotonic()
        try:
            got = self._exchange(method, path, body, headers)
        except (OSError, http.client.HTTPException, ValueError) as error:
            got = _nothing(error)
        if who:
            self._keep(who, got["cookies"])
        return {**got, "took_s": round(time.monotonic() - began_s, 3)}

    def _exchange(
        self, method: str, path: str, body: str | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        connection = http.client.HTTPConnection(self._address, self._port, timeout=LIMIT_S)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            data = response.read(_MOST_BYTES)
        finally:
            connection.close()
        return {
            "status": response.status,
            "headers": {name.lower(): value for name, value in response.getheaders()},
            "cookies": response.headers.get_all("Set-Cookie", []),
            "body": data.decode(errors="replace"),
        }

    def _keep(self, who: str, cookies: list[str]) -> None:
        """Keeps the session, or forgets one that is set to nothing."""
        for line in cookies:
            try:
                parsed = SimpleCookie(line)
            except CookieError:
                continue
            if _COOKIE in parsed:
                self.sessions[who] = parsed[_COOKIE].value
                if not parsed[_COOKIE].value:
                    del self.sessions[who]

    def _filled(self, text: str) -> str:
        """A text with others' sessions in place of their names."""
        return _SESSION.sub(lambda m: _near(self.sessions.get(m[1], ""), int(m[2] or 0)), text)


def _nothing(error: Exception) -> dict[str, Any]:
    """In place of a response."""
    return {"status": 0, "headers": {}, "cookies": [], "body": f"{error}"}


def _near(session: str, step: int) -> str:
    """A session, or its neighbour; one that does not end with a number has none."""
    found = re.search(r"\d+$", session)
    if not step:
        return session
    if not found:
        return ""
    return f"{session[: found.start()]}{int(found[0]) + step:0{len(found[0])}d}"


# ---- pages


def _elements(page: str) -> list[Any]:
    """All elements of a page, in order; comments have no name."""
    import html5lib  # Debian's, in a guest

    return list(html5lib.parse(page, namespaceHTMLElements=False).iter())


def _form(page: str, action: str) -> dict[str, str]:
    """The fields of a form and what they hold."""
    try:
        elements = _elements(page)
    except Exception:  # noqa: BLE001 (see _report)
        return {}
    for form in elements:
        if form.tag == "form" and form.get("action") == action:
            inputs = [e for e in form.iter() if e.tag in ("input", "textarea") and e.get("name")]
            return {e.get("name"): e.get("value") or e.text or "" for e in inputs}
    return {}


def _report(page: str, marks: re.Pattern[str]) -> dict[str, Any]:
    elements = _elements(page)
    return {
        "text": " ".join(" ".join(_texts(elements[0])).split()),
        "links": [e.get("href", "") for e in elements if e.tag == "a"],
        "values": [e.get("value", "") for e in elements if e.tag == "input"],
        "scripts": [e.get("src", "") for e in elements if e.tag == "script"],
        "places": [place for e in elements for place in _places(e, marks)],
        "everything": "\n".join(_everything(elements)),
    }


def _everything(elements: list[Any]) -> list[str]:
    """All texts, as one; comments; attributes: what a reader of the page's source can decode."""
    comments = [e.text or "" for e in elements if not isinstance(e.tag, str)]
    attributes = [f"{name}={value}" for e in elements for name, value in e.attrib.items()]
    return ["".join(elements[0].itertext()), *comments, *attributes]


def _texts(element: Any) -> list[str]:
    """What is shown of an element, in order."""
    if not isinstance(element.tag, str):  # a comment
        return [element.tail or ""]
    own = [] if element.tag in (*_TEXT_ONLY, "head") else [element.text or ""]
    return [*own, *(text for child in element for text in _texts(child)), element.tail or ""]


def _places(element: Any, marks: re.Pattern[str]) -> list[list[str]]:
    """(mark, where) of the marks in an element's own text and attributes; text is no place."""
    if not isinstance(element.tag, str):
        return []
    found = []
    for name, value in element.attrib.items():
        for mark in marks.findall(f"{name} {value}"):
            found.append([mark, f"{element.tag} {name}{_scheme(element.tag, name, value)}"])
    if element.tag in _TEXT_ONLY:
        found += [[mark, element.tag] for mark in marks.findall(element.text or "")]
    return found


def _scheme(tag: str, name: str, value: str) -> str:
    """Of a link, as a browser takes it."""
    if (tag, name) != ("a", "href"):
        return ""
    scheme, colon, _ = _UNSEEN.sub("", value).partition(":")
    return f" {scheme.lower()}:" if colon and re.fullmatch(r"[a-zA-Z][\w+.-]*", scheme) else ""


def main(path: str) -> None:
    """Makes all visits of a plan."""
    plan = json.loads(Path(path).read_text(encoding="utf-8"))
    visitor = Visitor(plan["address"], plan["port"], plan.get("mark", MARK))
    for visit in plan["visits"]:
        try:
            report = visitor.visit(visit)
        except (ValueError, RecursionError) as error:  # no browser would show that either
            report = {"visit": visit["name"], **_nothing(error)}
        print(json.dumps(report), flush=True)  # noqa: T201 (its output)


if __name__ == "__main__":
    main(sys.argv[1])
