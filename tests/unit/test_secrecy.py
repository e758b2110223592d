"""What grading keeps holds no private key and no secret of TLS."""

from __future__ import annotations

from pathlib import Path

from testbed.grading import secrecy

SECRET = "cd" * 48
LOG = f"# by curl\nCLIENT_RANDOM {'ab' * 32} {SECRET}\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEA\nMBMG\n-----END PRIVATE KEY-----\n"
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIBzzCC\n-----END CERTIFICATE-----\n"


def scenario(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_keys_go_and_everything_else_stays(tmp_path: Path) -> None:
    stays = {
        "certificates/www.pem": CERTIFICATE,
        "captures/h1-eth0.pcap": KEY,
        "logs/curl.log": "200 OK\n",
        "submission/server.key": KEY,
    }
    goes = {
        "keys/h1.log": LOG,
        "certificates/www.key": KEY,
        "captures/h1-eth0.pcapng": LOG,
        "out/server/tls/www.key": KEY.replace("PRIVATE", "RSA PRIVATE"),
    }
    secrecy.remove(scenario(tmp_path, stays | goes))
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert found == set(stays)
    assert {name: (tmp_path / name).read_text() for name in stays} == stays


def test_texts_lose_the_secrets_that_they_repeat(tmp_path: Path) -> None:
    removed = secrecy.REMOVED.decode()
    texts = {
        "keys/h1.log": LOG,
        "logs/install.log": f"before\n{KEY}between\n{KEY[:40]}",
        "out/x/notes": f"master secret: {SECRET.upper()}, {SECRET}.",
        "events.jsonl": "{}\n",
    }
    secrecy.remove(scenario(tmp_path, texts))
    found = (tmp_path / "logs/install.log").read_text()
    assert found == f"before\n{removed}\nbetween\n{removed}"
    assert SECRET not in (tmp_path / "out/x/notes").read_text().lower()
    assert (tmp_path / "events.jsonl").read_text() == "{}\n"


def test_links_of_a_hostile_run_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.key"
    outside.write_text(KEY)
    folder = scenario(tmp_path / "main", {"out/x/y": "z"})
    (folder / "out/x/link").symlink_to(outside)
    secrecy.remove(folder)
    assert outside.read_text() == KEY


def test_files_and_folders_that_a_lab_calls_secret_go(tmp_path: Path) -> None:
    files = {"rounds/hidden-1.pcap": "1", "rounds/practice.pcap": "2", "captures/h1-eth0.pcap": "3"}
    folder = scenario(tmp_path / "main", {**files, "out/hidden-1/a/b": "4", "out/practice/c": "5"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/stays").write_text("6")
    (folder / "out/hidden-2").symlink_to(tmp_path / "elsewhere")
    secrecy.remove(folder, ("rounds/hidden-*", "captures/h1-eth0.pcap", "out/hidden-*"))
    found = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if not p.is_dir()}
    assert found == {"main/rounds/practice.pcap", "main/out/practice/c", "elsewhere/stays"}
    assert not (folder / "out/hidden-1").exists()
