"""What each method does to a resource, and what it does when it is repeated."""

from __future__ import annotations

import json

from analysis.dissect import http
from testbed import Experiment, Tables, Verdict, all_of, claim, near, same

from .exchanges import SECRET
from .messages import PATH, answer, asked, both, notes, said, text

TWICE = ("first", "second")


class Methods(Experiment):
    """What each method does to a resource, and what it does when it is repeated."""

    @claim("GET reads a resource.", source="RFC 9110 §9.3.1")
    def get_reads(self, tables: Tables) -> Verdict:
        """A note as the list has it, and by itself."""
        one = answer(tables, "get-first")
        return all_of(
            same(one["status"], 200, "status"),
            same(_member(text(one), "text"), notes(tables, "list-first").get("1"), "text"),
        ).because("request and response", both(tables, "get-first"))

    @claim("HEAD returns the headers of GET and no body.", source="RFC 9110 §9.3.2")
    def head_returns_headers_only(self, tables: Tables) -> Verdict:
        """Both for the same note."""
        full, head = answer(tables, "get-first"), answer(tables, "head-first")
        names = ("Content-Length", "Content-Type", "ETag")
        kept = [http.header(head, name) for name in names]
        return all_of(
            same(asked(tables, "head-first")["method"], "HEAD", "method"),
            same(kept, [http.header(full, name) for name in names], "headers"),
            near(int(head["body_bytes"]), 0, abs=0, unit="bytes of body"),
        ).because("both", both(tables, "get-first", "head-first"))

    @claim("OPTIONS lists the methods of a resource in Allow.", source="RFC 9110 §9.3.7, §10.2.1")
    def options_lists_methods(self, tables: Tables) -> Verdict:
        """For one note, and each of the methods tried."""
        allow = http.header(answer(tables, "options-first"), "Allow")
        allowed = set(allow.replace(" ", "").split(","))
        tried = {asked(tables, s)["method"] for s in ("get-first", "put-first", "patch")}
        return same(
            sorted(allowed), sorted(tried | {"HEAD", "OPTIONS", "DELETE"}), "Allow"
        ).because("request and response", both(tables, "options-first"))

    @claim(
        "POST adds a resource: 201, and Location says where it is.",
        source="RFC 9110 §9.3.3, §15.3.2",
    )
    def post_adds(self, tables: Tables) -> Verdict:
        """The list before and after two POSTs."""
        codes = [answer(tables, f"post-{n}")["status"] for n in TWICE]
        places = [http.header(answer(tables, f"post-{n}"), "Location") for n in TWICE]
        before, after = notes(tables, "list-safe"), notes(tables, "list-posts")
        new = [f"/notes/{number}" for number in after if number not in before]
        return all_of(
            same(codes, [201, 201], "status"),
            same(sorted(places), sorted(new), "Location"),
        ).because("requests and responses", both(tables, "post-first", "post-second"))

    @claim(
        "PUT replaces a resource (204), or makes one under the name it gives (201).",
        source="RFC 9110 §9.3.4",
    )
    def put_replaces(self, tables: Tables) -> Verdict:
        """A note that is there, and one that is not."""
        codes = [answer(tables, step)["status"] for step in ("put-first", "put-new")]
        return all_of(
            same(codes, [204, 201], "status"),
            same(notes(tables, "list-puts").get("1"), "bread", "note 1"),
            same(http.header(answer(tables, "put-new"), "Location"), "/notes/50", "Location"),
        ).because("requests and responses", both(tables, "put-first", "put-new"))

    @claim("PATCH changes a part of a resource and keeps the rest.", source="RFC 5789 §2; RFC 7396")
    def patch_changes_a_part(self, tables: Tables) -> Verdict:
        """A title for a note that has a text."""
        now = text(answer(tables, "get-patched"))
        members = [_member(now, name) for name in ("title", "text")]
        return same(members, ["shopping", "bread"], "title, text").because(
            "requests and responses", both(tables, "patch", "get-patched")
        )

    @claim("DELETE removes a resource: after it, GET gets 404.", source="RFC 9110 §9.3.5")
    def delete_removes(self, tables: Tables) -> Verdict:
        """One note."""
        codes = [answer(tables, step)["status"] for step in ("delete-first", "get-deleted-first")]
        return same(codes, [204, 404], "status").because(
            "requests and responses", both(tables, "delete-first", "get-deleted-first")
        )

    @claim("TRACE returns the request as it arrived.", source="RFC 9110 §9.3.8")
    def trace_returns_the_request(self, tables: Tables) -> Verdict:
        """Its lines in the body of the response."""
        back = answer(tables, "trace")
        return all_of(
            same(http.header(back, "Content-Type"), "message/http", "Content-Type"),
            same(text(back).splitlines()[:1], ["TRACE /index.html HTTP/1.1"], "first line"),
            same("X-Trace: as it came" in text(back), True, "header returned"),
        ).because("request and response", both(tables, "trace"))

    @claim(
        "GET, HEAD and OPTIONS are safe: they change nothing, however often.",
        source="RFC 9110 §9.2.1",
    )
    def safe_methods_change_nothing(self, tables: Tables) -> Verdict:
        """All notes before and after two of each."""
        codes = [answer(tables, f"{m}-{n}")["status"] for m in _SAFE for n in TWICE]
        return all_of(
            same(codes, [200] * 6, "status"),
            same(notes(tables, "list-safe"), notes(tables, "list-first"), "notes"),
        ).because("the lists", both(tables, "list-first", "list-safe"))

    @claim(
        "GET, HEAD, PUT and DELETE are idempotent: twice leaves what once leaves, even where the "
        "second response differs.",
        source="RFC 9110 §9.2.2",
    )
    def repeating_changes_nothing(self, tables: Tables) -> Verdict:
        """Two PUTs make one note, two DELETEs remove one; the second DELETE gets 404."""
        posted, put, deleted = (notes(tables, f"list-{k}") for k in ("posts", "puts", "deletes"))
        removed = sorted(set(put) - set(deleted))
        codes = [answer(tables, f"delete-{n}")["status"] for n in TWICE]
        gone = [answer(tables, f"get-deleted-{n}")["status"] for n in TWICE]
        return all_of(
            same(sorted(put), sorted(posted), "notes after two PUTs"),
            same(removed, ["2"], "notes missing after two DELETEs"),
            same(codes, [204, 404], "DELETE's status"),
            same(gone, [404, 404], "GET's status after each"),
        ).because("PUTs and DELETEs", both(tables, *(f"{m}-{n}" for m in _TWICE for n in TWICE)))

    @claim("POST is not idempotent: two make two resources.", source="RFC 9110 §9.2.2")
    def two_posts_make_two(self, tables: Tables) -> Verdict:
        """The same text, twice."""
        before, after = notes(tables, "list-safe"), notes(tables, "list-posts")
        new = [after[number] for number in after if number not in before]
        return same(new, ["milk", "milk"], "new notes").because(
            "requests", both(tables, "post-first", "post-second")
        )

    @claim(
        "GET's parameters are in the URI, POST's in the body.",
        source="RFC 9110 §4.1, §9.3.3; RFC 3986 §3.4",
    )
    def parameters_have_their_place(self, tables: Tables) -> Verdict:
        """One parameter, in both."""
        query, form = asked(tables, "query"), asked(tables, "form")
        pair = f"password={SECRET}"
        places = {
            "GET": [place for place, said in _places(query) if pair in said],
            "POST": [place for place, said in _places(form) if pair in said],
        }
        return same(places, {"GET": ["URI"], "POST": ["body"]}, "password").because(
            "requests", both(tables, "query", "form")
        )

    @claim(
        "POST is no more secret than GET: anyone on the path can read both.",
        source="RFC 9110 §17.9; RFC 9112 §11.4",
    )
    def post_is_no_secret(self, tables: Tables) -> Verdict:
        """The password in what r1 captured."""
        seen = {s: said(tables, s, "request", PATH) for s in ("query", "form")}
        found = {
            step: any(
                SECRET in words for row in rows.to_dict("records") for _, words in _places(row)
            )
            for step, rows in seen.items()
        }
        return same(found, {"query": True, "form": True}, "read on the path").because(
            "requests at r1", both(tables, "query", "form")
        )


_SAFE, _TWICE = ("get", "head", "options"), ("put", "delete")


def _places(request: dict[object, object]) -> list[tuple[str, str]]:
    """Where a request may carry parameters."""
    body = request["body"]
    return [
        ("URI", str(request["target"])),
        ("body", body.decode("latin-1") if isinstance(body, bytes) else ""),
    ]


def _member(body: str, name: str) -> str | None:
    """A member of a JSON object; None if it is not one."""
    try:
        value = json.loads(body).get(name)
    except (ValueError, AttributeError):
        return None
    return None if value is None else str(value)
