"""A student's web server in the sandbox: a script that installs its files, then nginx.

nginx's configuration can read any file and start others' code, so it is not filtered: nginx runs
like any student's program, unprivileged and isolated. It sees the student's files in /work, what
the script installed in /out, and nothing that was given to the script.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from testbed.daemons.base import ended, listens
from testbed.daemons.nginx import PROGRAM, main_file
from testbed.grading import sandbox

if TYPE_CHECKING:
    from testbed.author.running_network import RunningNetwork

GIVEN = "/given"
"""In the script's sandbox: what the course gives."""

LOG = "nginx"
"""Name of nginx's log."""

SHARED = "server"
"""Name of the folder for output that the script and nginx share."""

PRIVATE_KEY = b"PRIVATE KEY-----"
"""In the first line of each private key (RFC 7468 §10)."""

_MAIN, _ERRORS = "/nginx/nginx.conf", f"{sandbox.OUT}/nginx.log"
_INSTALL_S, _START_S = 30.0, 10.0


def install(net: RunningNetwork, node: str, work: Path, script: str, given: Path) -> None:
    """Runs the script to its end.

    Raises:
        CommandError: it fails.
        ConvergenceError: it does not end.
    """
    shown = {GIVEN: str(given)}
    installing = sandbox.start(
        net, node, ["sh", script], work, "install", shown=shown, shared=SHARED
    )
    net.wait_until("its end", lambda: not installing.running, _INSTALL_S, every_s=0.05)
    installing.check(_INSTALL_S)


def start(net: RunningNetwork, node: str, work: Path, site: str) -> None:
    """Starts nginx, and waits until a port of HTTP or HTTPS is open.

    Raises:
        CommandError: nginx ends.
        ConvergenceError: it opens neither port.
    """
    net.sysctl(node, "net.ipv4.ip_unprivileged_port_start", 0)
    main = net.state_folder(node) / "nginx.conf"
    main.write_text(
        main_file(f"include {sandbox.WORK}/{site};", "/tmp", _ERRORS),
        encoding="utf-8",
    )
    server = sandbox.start(
        net,
        node,
        [PROGRAM, "-e", _ERRORS, "-c", _MAIN],
        work,
        LOG,
        shown={_MAIN: str(main)},
        shared=SHARED,
    )
    net.wait_until(
        "port 80 or 443",
        lambda: not server.running or listens(server, 80) or listens(server, 443),
        _START_S,
        every_s=0.05,
    )
    if not server.running:
        raise ended(server)


def private_keys() -> dict[str, int]:
    """Path below /out → mode of the files with a private key."""
    return sandbox.files_with(SHARED, [PRIVATE_KEY])
