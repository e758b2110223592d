"""The web application and the client of the experiments on HTTP, asked for what goes wrong."""

import json
import socket
import subprocess

import pytest

from testbed.core.project import PROJECT
from testbed.programs import http_client

PYTHON = "/usr/bin/python3"
"""The application's libraries are packages of the system's Python, as in the guest."""

ASK = """
import json, sys
from testbed.programs import web_application as web
web.notes[1] = {"text": "a", "version": 1, "title": "t"}
client = web.app.test_client()
rows = []
for method, path, body in json.loads(sys.argv[1]):
    answer = client.open(path, method=method, data=body, content_type="application/json")
    rows.append([answer.status_code, answer.headers.get("WWW-Authenticate", ""), dict(web.notes)])
print(json.dumps(rows))
"""


def ask(*questions):
    """Status, challenge and all notes after each request to an application with one note."""
    if subprocess.run([PYTHON, "-c", "import flask, jwt, waitress"], check=False).returncode:
        pytest.skip("the web application's libraries are not installed")
    command = [PYTHON, "-c", ASK, json.dumps(questions)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def patch(value):
    return ("PATCH", "/notes/1", json.dumps(value))


def test_a_patch_changes_what_it_names_and_null_removes():
    rows = ask(patch({"title": None, "mood": "good"}), patch({"mood": None}))
    assert [status for status, *_ in rows] == [200, 200]
    assert [notes["1"] for *_, notes in rows] == [
        {"text": "a", "version": 2, "title": None, "mood": "good"},
        {"text": "a", "version": 3, "title": None},
    ]


def test_a_patch_that_does_not_fit_is_refused():
    rows = ask(
        *map(patch, ([], "text", None, {"text": 3}, {"text": None}, {"title": []})),
        ("PATCH", "/notes/1", "{"),
        patch({"version": "x"}),
        ("GET", "/notes", ""),
    )
    assert [status for status, *_ in rows] == [400, 400, 400, 422, 422, 422, 400, 200, 200]
    assert rows[-1][-1] == {"1": {"text": "a", "version": 2, "title": "t"}}


def test_who_is_not_logged_in_is_challenged():
    [[status, challenge, _]] = ask(("GET", "/account", ""))
    assert (status, challenge.split(" ")[0]) == (401, "Cookie")


def test_a_step_without_answer_does_not_end_the_next(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(http_client, "_LIMIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = {"host": "127.0.0.1", "port": silent.getsockname()[1]}
        steps = [{"step": name, "send": ["GET / HTTP/1.1\r\n\r\n"]} for name in ("one", "two")]
        file = tmp_path / "steps.json"
        file.write_text(json.dumps([place | step for step in steps]), encoding="utf-8")
        http_client.main([str(file)])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    results = [row.get("step", row.get("error")) for row in rows]
    assert results == ["one", "TimeoutError", "two", "TimeoutError"]


def test_updates_need_a_number_that_has_been() -> None:
    paths = ("/updates", "/updates?after=x", "/updates/next?after=99999999999", "/updates?after=0")
    rows = ask(*(("GET", path, "") for path in paths))
    assert [status for status, *_ in rows] == [400, 400, 400, 200]
