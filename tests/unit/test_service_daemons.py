"""Configurations of the service daemons, held against the daemons' own checkers."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from testbed.core.errors import ConfigError, MissingPrerequisiteError
from testbed.daemons import Daemon, Place, check
from testbed.daemons.apache import Apache
from testbed.daemons.base import Running, is_ready, require, write_files
from testbed.daemons.certificates import Files
from testbed.daemons.database_pages import DatabasePages
from testbed.daemons.dnsmasq import Dnsmasq
from testbed.daemons.dovecot import Dovecot
from testbed.daemons.exim import Exim
from testbed.daemons.haproxy import Haproxy
from testbed.daemons.http3 import Door, Http3Server
from testbed.daemons.nginx import Nginx
from testbed.daemons.nsd import Nsd
from testbed.daemons.postgresql import Postgresql
from testbed.daemons.unbound import Unbound
from testbed.daemons.web_application import WebApplication
from testbed.daemons.websocket_server import WebsocketServer

GOOD = [
    Dnsmasq(("dhcp-range=10.0.0.10,10.0.0.20,2m",)),
    Nsd({"example.org": "$ORIGIN example.org.\n@ 60 SOA ns admin 1 2 3 4 5\n@ 60 NS ns\n"}),
    Unbound(root="10.0.0.1"),
    Dovecot(),
    Exim(),
    Nginx("server { listen 8080; root /srv; }", port=8080),
    Apache(("DocumentRoot /srv",), port=8080),
    Haproxy("frontend f\n  bind :8080\n", 8080),
    WebApplication(),
    DatabasePages(),
    Postgresql(),
    WebsocketServer(8080),
]
BAD = [
    (Dnsmasq(("dhcp-rnage=10.0.0.10",)), "dhcp-rnage|bad option"),
    (Nsd({'a" b': ""}), "nsd"),
    (Unbound(options=("num-threads: many",)), "unbound"),
    (Exim("example.org\nno_such_setting = 1"), "no_such_setting"),
    (Nginx("server { lisen 8080; }"), "lisen"),
    (Apache(("DocumentRot /srv",)), "DocumentRot"),
    (Haproxy("frontend f\n  bnd :8080\n"), "bnd"),
    (Postgresql(logged="some"), "log_statement"),
    (DatabasePages(flaws=("no-such-flaw",)), "no-such-flaw is unknown"),
    (WebApplication(flaws=("no-such-flaw",)), "no-such-flaw is unknown"),
    (WebsocketServer(flaws=("no-such-flaw",)), "no-such-flaw is unknown"),
]


def test_everything_that_is_missing_is_named_with_its_package() -> None:
    class Needy(Apache):
        program, package = "no-such-server", "one"
        also: ClassVar[dict[str, str]] = {"no-such-helper": "two", "sh": "dash", "/no/file": "two"}

    with pytest.raises(MissingPrerequisiteError) as raised:
        require(Needy())
    assert "no-such-server, no-such-helper, /no/file" in str(raised.value)
    assert "sudo apt-get install one two" in str(raised.value)


def test_a_path_with_spaces_stays_one_word_for_the_shell(tmp_path: Path) -> None:
    place = Place("n1", tmp_path / "my configs", tmp_path / "my state")
    words = shlex.split(Exim().argv(place)[2])
    assert f"{place.configs}/exim.conf" in words
    assert f"{place.state}/exim" in words


def _checked(daemon: Daemon, folder: Path) -> None:
    if shutil.which(daemon.program) is None:
        pytest.skip(f"{daemon.package} is not installed")
    place = Place("n1", folder / "configs", folder)
    write_files(daemon, place)
    check(daemon, place)


@pytest.mark.parametrize("daemon", GOOD, ids=lambda d: d.name)
def test_rendered_files_are_accepted(daemon: Daemon, tmp_path: Path) -> None:
    _checked(daemon, tmp_path)


@pytest.mark.parametrize(("daemon", "words"), BAD, ids=lambda d: getattr(d, "name", ""))
def test_bad_options_are_refused_with_the_checkers_words(
    daemon: Daemon, words: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        _checked(daemon, tmp_path)


def _http3(folder: Path, port: int | str = 443) -> Http3Server:
    chain, key = folder / "c.pem", folder / "k.pem"
    made = Files(chain, key, chain, crl=chain, status=chain)
    net = SimpleNamespace(path=folder)
    return Http3Server(cast(Any, net), "h2", [Door(made, cast(int, port))])


def test_http3_server_checks_its_doors(tmp_path: Path) -> None:
    pytest.importorskip("aioquic")
    with pytest.raises(ConfigError, match=r"doors, idle_s: .*No such file"):
        _checked(_http3(tmp_path), tmp_path)
    options = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    files = ["-keyout", str(tmp_path / "k.pem"), "-out", str(tmp_path / "c.pem")]
    argv = ["openssl", "req", *options, *files, "-subj", "/CN=www.example.org"]
    subprocess.run(argv, check=True, capture_output=True)
    _checked(_http3(tmp_path), tmp_path)
    with pytest.raises(ConfigError, match=r"doors, idle_s: .*many"):
        _checked(_http3(tmp_path, "many"), tmp_path)


def test_a_daemon_that_ends_says_what_its_checker_refuses(tmp_path: Path) -> None:
    place = Place("h1", tmp_path / "configs", tmp_path)
    nginx = Nginx("nonsense on;", port=8443)
    write_files(nginx, place)
    process = cast(Any, SimpleNamespace(running=False))
    with pytest.raises(ConfigError, match=r'unknown directive "nonsense".*nginx\.conf:\d+'):
        is_ready(Running(nginx, place, process))
