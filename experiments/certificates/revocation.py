"""Revocation: how a client learns that a certificate should not be believed any more."""

from __future__ import annotations

from testbed import (
    Experiment,
    Tables,
    Verdict,
    all_of,
    at_least,
    claim,
    first,
    pick,
    same,
    tls_steps,
)

from . import visits
from .talk import CLIENT, accepted, certificates, ports, report, statuses, words

CODE = 91
"""curl's exit code if it has no good answer about revocation."""

LEEWAY_S = 300
"""curl forgives clocks that differ by so much."""

ALERT = ("client", "certificate_revoked")


class Revocation(Experiment):
    """Revocation: how a client learns that a certificate should not be believed any more."""

    @claim(
        "A certificate does not show that it was revoked: a client that does not ask accepts it.",
        source="RFC 5280 §3.3, §6.3",
    )
    def who_does_not_ask_does_not_know(self, tables: Tables) -> Verdict:
        """The revoked server, visited by curl as it comes."""
        chain = certificates(tables, "revoked")
        status = certificates(tables, "revoked-status")["serial"].iloc[0]
        return all_of(
            accepted(tables, "revoked"),
            same(chain["serial"].iloc[0], status, "certificate"),
            same(statuses(tables, "revoked-status"), ["revoked"], "its issuer says"),
        )

    @claim(
        "A client can fetch its issuer's list of revoked certificates. It does so in the middle "
        "of the handshake, over plain HTTP; the list is signed.",
        source="RFC 5280 §4.2.1.13, §5, §6.3",
    )
    def lists_name_revoked_certificates(self, tables: Tables) -> Verdict:
        """Requests for the list between certificate and alert, and the reason of the refusal."""
        certificates(tables, "revoked-list")
        fetched = pick(tables, "revoked-list", CLIENT, table="http")
        asked = fetched.loc[fetched["kind"] == "request", "target"].tolist()
        ended = tls_steps.said(tables, "revoked-list", message=ALERT[1])
        order = [
            int(first(rows, what)["frame"])
            for rows, what in (
                (tls_steps.said(tables, "revoked-list", message="Certificate"), "certificate"),
                (fetched, "request for the list"),
                (ended, "alert"),
            )
            if len(rows)
        ]
        return all_of(
            same(asked, [f"/{visits.CRL}"], "requests"),
            same(int(report(tables, "revoked-list")["error"]), 23, words(tables, "revoked-list")),
            same(tls_steps.alert(tables, "revoked-list"), ALERT, "alert"),
            same(len(order) == 3 and order == sorted(order), True, "certificate, list, alert"),
        ).because("handshake", tls_steps.said(tables, "revoked-list"))

    @claim(
        "With stapling the server brings its issuer's signed answer along in the handshake: no "
        "further connection is needed, and the issuer does not learn who visits what.",
        source="RFC 6066 §8; RFC 6960 §1",
    )
    def stapling_needs_no_further_connection(self, tables: Tables) -> Verdict:
        """The answer in the handshake, and the ports that the client connects to."""
        hello = str(tls_steps.message(tables, "good-status", "ClientHello").get("extensions"))
        return all_of(
            same("status_request" in hello.split(","), True, "the client asks for it"),
            same(statuses(tables, "good-status"), ["good"], "answers in the handshake"),
            same(ports(tables, "good-status"), [443], "ports"),
            accepted(tables, "good-status"),
        ).because("handshake", tls_steps.said(tables, "good-status"))

    @claim(
        "A client that insists on an answer refuses a server whose answer says revoked, and one "
        "that brings none.",
        source="RFC 6960 §2.2; RFC 7633 §4.3.3",
    )
    def no_good_answer_is_refused(self, tables: Tables) -> Verdict:
        """curl with --cert-status."""
        both = ("revoked-status", "no-status")
        found = {step: int(report(tables, step)["code"]) for step in both}
        told = {step: statuses(tables, step) for step in both}
        return all_of(
            same(told, {"revoked-status": ["revoked"], "no-status": []}, "answers"),
            same(found, dict.fromkeys(both, CODE), words(tables, "no-status")),
        ).because("handshake", tls_steps.said(tables, "revoked-status"))

    @claim(
        "A certificate can say that an answer comes with it (must-staple): a client that knows "
        "this refuses a server without one; other clients notice nothing.",
        source="RFC 7633 §4.2.3, §4.3.3",
    )
    def must_staple_needs_an_answer(self, tables: Tables) -> Verdict:
        """GnuTLS at a server with the answer and at one without, and curl at the latter."""
        steps = (visits.STAPLED, visits.FORGOTTEN, f"{visits.FORGOTTEN}-curl")
        flags = [bool(certificates(tables, s)["must_staple"].iloc[0]) for s in steps]
        told = [statuses(tables, step) for step in steps]
        found = [int(report(tables, step)["code"]) for step in steps]
        asked = [len(tls_steps.said(tables, step, message="Finished")) > 0 for step in steps]
        return all_of(
            same(flags, [True] * 3, "must-staple"),
            same(told, [["good"], [], []], "answers"),
            same(found, [0, 1, 0], f"exit codes ({words(tables, visits.FORGOTTEN)})"),
            same(asked, [True, False, True], "handshake is finished"),
        ).because("handshake", tls_steps.said(tables, visits.FORGOTTEN))

    @claim(
        "Answers are valid for a time, so that an old good one cannot hide a later revocation.",
        source="RFC 6960 §4.2.2.1",
    )
    def old_answers_are_refused(self, tables: Tables) -> Verdict:
        """The same answer, while it is valid and afterwards."""
        steps = ("good-status", "old-status")
        answers = [tls_steps.message(tables, s, "CertificateStatus").get("data") for s in steps]
        times = [float(certificates(tables, step)["time_s"].iloc[0]) for step in steps]
        late_s = LEEWAY_S + int(tables.of("setting")["life_s"].iloc[0])
        found = [int(report(tables, step)["code"]) for step in steps]
        return all_of(
            same(answers[0] is not None and answers[0] == answers[1], True, "the same answer"),
            at_least(times[1] - times[0], late_s, unit="s"),
            same(found, [0, CODE], f"curl's exit codes ({words(tables, 'old-status')})"),
        ).because("handshake", tls_steps.said(tables, "old-status"))
