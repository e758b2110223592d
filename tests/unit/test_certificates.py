"""Certificates that the testbed makes, and what the analysis reads in them."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from analysis.dissect import tls_certificates
from analysis.tls import certificates as contents
from testbed.core.errors import ConfigError
from testbed.daemons import certificate_cases, certificates
from testbed.daemons.certificate_cases import host

x509 = pytest.importorskip("cryptography.x509")

CASES = certificate_cases.cases()
CRL, OCSP = "http://192.0.2.1/issuing.crl", "http://192.0.2.1/ocsp"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All certificates of the cases, as the program makes them in a guest."""
    from testbed.programs import certificates as program

    path = tmp_path_factory.mktemp("certificates")
    wanted = certificate_cases.wanted(CASES, crl=CRL)
    wanted = [replace(one, ocsp=OCSP) if one.revoked else one for one in wanted]
    listed = [{**asdict(one), "subject": one.subject or one.name} for one in wanted]
    (path / "wanted.json").write_text(json.dumps(listed))
    program.main([str(path / "wanted.json"), str(path)])
    return path


def der(folder: Path, name: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding

    one = x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes())
    return bytes(one.public_bytes(Encoding.DER))


def of(folder: Path, name: str) -> dict[str, object]:
    return contents.fields(der(folder, name))


def test_every_case_can_be_made_and_has_one_thing_wrong(folder: Path) -> None:
    certificates.check(certificate_cases.wanted(CASES))
    sound = certificate_cases.flawless()
    same = [a.name for a, b in zip(CASES, sound, strict=True) if a.certificate == b.certificate]
    assert same == []
    assert len({case.host for case in CASES}) == len(CASES)
    assert all((folder / f"{case.name}.pem").is_file() for case in CASES)


def test_fields(folder: Path) -> None:
    valid = of(folder, "valid")
    assert valid["subject"] == valid["names"] == host("valid")
    assert valid["issuer"] == "Example Issuing CA"
    assert (valid["key"], valid["hash"], valid["is_ca"]) == ("P-256", "sha256", False)
    assert valid["usages"] == "server,client"
    assert str(valid["begins"]) < str(valid["ends"])
    assert of(folder, "issuing")["path_length"] == 0
    assert of(folder, "elsewhere")["permitted"] == "example.net"
    assert of(folder, "short-key")["key"] == "RSA 1024"
    assert of(folder, "weak-hash")["hash"] == "sha1"
    assert of(folder, "wrong-usage")["usages"] == "mail"
    revoked = of(folder, "revoked")
    assert (revoked["crl"], revoked["ocsp"]) == (CRL, OCSP)
    assert (valid["crl"], valid["ocsp"]) == ("", "")


def test_signatures(folder: Path) -> None:
    def fits(name: str, issuer: str) -> bool | None:
        return contents.is_signed_by(der(folder, name), der(folder, issuer))

    assert fits("valid", "issuing") is True
    assert fits("issuing", "root") is True
    assert fits("valid", "root") is False  # another name
    assert fits("damaged", "issuing") is False
    assert fits("issued-by-server", "valid") is True
    assert fits("self-signed", "self-signed") is True
    assert contents.is_signed_by(b"nothing", der(folder, "root")) is None


@pytest.mark.parametrize("key", ["p256", "rsa2048"])
def test_old_signatures_fit(tmp_path: Path, key: str) -> None:
    """The maker puts SHA-1's signatures together by itself: OpenSSL's view is in `certificates`."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding

    from testbed.programs import certificates as program

    issuer = certificates.Certificate("root", ca=True, key=key)
    one = certificates.Certificate("old", issuer="root", key="p256", hash="sha1")
    (tmp_path / "wanted.json").write_text(
        json.dumps([{**asdict(c), "subject": c.name} for c in (issuer, one)])
    )
    program.main([str(tmp_path / "wanted.json"), str(tmp_path)])
    old = x509.load_pem_x509_certificate((tmp_path / "old.pem").read_bytes())
    root = x509.load_pem_x509_certificate((tmp_path / "root.pem").read_bytes())
    how = (ec.ECDSA(hashes.SHA1()),) if key == "p256" else (padding.PKCS1v15(), hashes.SHA1())
    root.public_key().verify(old.signature, old.tbs_certificate_bytes, *how)


def test_revocation(folder: Path) -> None:
    crl = x509.load_der_x509_crl((folder / "issuing.crl").read_bytes())
    revoked = x509.load_pem_x509_certificate((folder / "revoked.pem").read_bytes())
    assert [one.serial_number for one in crl] == [revoked.serial_number]
    issuer = x509.load_pem_x509_certificate((folder / "issuing.pem").read_bytes())
    assert crl.is_signature_valid(issuer.public_key())
    answer = (folder / "revoked.ocsp").read_bytes()
    header = b"\x01" + len(answer).to_bytes(3, "big")
    assert contents.status(header + answer) == {"status": "revoked", "problem": None}
    assert not (folder / "valid.ocsp").exists()


def test_damaged_certificates_are_named(folder: Path) -> None:
    whole = der(folder, "valid")
    for damaged in (b"", whole[:100], b"\x30\x80" + whole[2:], bytes(300)):
        found = contents.fields(damaged)
        assert found["problem"]
        assert "\n" not in str(found["problem"])
        assert found["subject"] is None
    assert contents.status(b"\x01\x00\x00\x02ab")["problem"]


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@pytest.mark.parametrize(("name", "above"), [("valid", "issuing"), ("issuing", "root")])
def test_no_flipped_bit_stops_the_analysis(folder: Path, name: str, above: str) -> None:
    whole, issuer = bytearray(der(folder, name)), der(folder, above)
    signed_bytes = 4 + len(x509.load_der_x509_certificate(bytes(whole)).tbs_certificate_bytes)
    problems = set()
    for place in range(8 * len(whole)):
        whole[place // 8] ^= 1 << place % 8
        flipped = bytes(whole)
        problems.add(contents.fields(flipped)["problem"])
        for pair in ((flipped, issuer), (flipped, flipped), (issuer, flipped)):
            fits = contents.is_signed_by(*pair)  # a flip behind them may leave the same signature
            assert not fits or place // 8 >= signed_bytes
        whole[place // 8] ^= 1 << place % 8
    assert {None, "9 is not a valid X509 version"} < {
        re.sub(r"^\d+ is", "9 is", problem) if problem else None for problem in problems
    }


def test_no_flipped_bit_of_a_status_stops_the_analysis(folder: Path) -> None:
    answer = bytearray((folder / "revoked.ocsp").read_bytes())
    found = set()
    for place in range(8 * len(answer)):
        answer[place // 8] ^= 1 << place % 8
        found.add(contents.status(b"\x01\0\0\0" + answer)["status"])
        answer[place // 8] ^= 1 << place % 8
    assert found >= {"revoked", None}


def test_chains_in_messages(folder: Path) -> None:
    chain = (der(folder, "valid"), der(folder, "issuing"))
    messages = pd.DataFrame(
        {
            "frame": [7, 9],
            "message": ["Certificate", "Certificate"],
            "certificates": [chain, None],
            "side": ["server", "server"],
            "data": [b"", b""],
        }
    )
    found = tls_certificates.read(messages)
    assert found["frame"].tolist() == [7, 7]
    assert found["place"].tolist() == [0, 1]
    assert found["signed_by_next"].tolist() == [True, None]
    assert tls_certificates.statuses(messages).empty
    assert tls_certificates.read(messages.iloc[:0]).empty


def test_unknown_usage_is_refused() -> None:
    one = replace(CASES[0].certificate, issuer="", usages=("flying",))
    with pytest.raises(ConfigError, match=r"'valid': usage 'flying' is unknown; allowed: server"):
        certificates.check([one])
