"""Which certificates can serve, and what is said of those that cannot."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from spinney import certificates
from spinney.certificates import Pair
from spinney.config import ApiSettings
from spinney.serving.tls import UnusableCertificate, context_of, examine

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    def now(self) -> float:
        return NOW.timestamp()

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Never."""


@pytest.fixture
def settings(tmp_path: Path) -> ApiSettings:
    put(tmp_path, server(NOW))
    return ApiSettings(tls_certificate=str(tmp_path / "tls.crt"), tls_key=str(tmp_path / "tls.key"))


def server(made: datetime) -> Pair:
    authority = certificates.new_authority("test", made, 10)
    return certificates.new_server(authority, "api", ["api.example", "192.0.2.1"], made, 10)


def put(folder: Path, pair: Pair) -> None:
    (folder / "tls.crt").write_bytes(pair.certificate_pem)
    (folder / "tls.key").write_bytes(pair.key_pem)


def test_a_good_one_serves_and_says_for_whom(settings: ApiSettings) -> None:
    material = examine(settings, Clock())
    assert material is not None
    assert material.names == ("api.example", "192.0.2.1")
    assert not material.self_signed
    assert context_of(material).minimum_version.name == "TLSv1_2"
    assert examine(ApiSettings(), Clock()) is None


def break_it(folder: Path, how: str) -> None:
    key = server(NOW).key
    match how:
        case "is not the key":
            (folder / "tls.key").write_bytes(server(NOW).key_pem)
        case "expired at 2026-11-12 12:00":
            put(folder, server(NOW - timedelta(days=20)))
        case "is not valid before":
            put(folder, server(NOW + timedelta(days=2)))
        case "tls.crt cannot be read":
            (folder / "tls.crt").unlink()
        case "tls.key cannot be read":
            (folder / "tls.key").unlink()
        case "holds no certificate":
            (folder / "tls.crt").write_text("hello")
        case "holds no private key":
            (folder / "tls.key").write_text("hello")
        case "is encrypted":
            locked = serialization.BestAvailableEncryption(b"x")
            kind = serialization.PrivateFormat.PKCS8
            (folder / "tls.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, kind, locked))


@pytest.mark.parametrize(
    "how",
    [
        "is not the key",
        "expired at 2026-11-12 12:00",
        "is not valid before",
        "tls.crt cannot be read",
        "tls.key cannot be read",
        "holds no certificate",
        "holds no private key",
        "is encrypted",
    ],
)
def test_a_bad_one_is_told_with_its_file_and_what_to_do(settings: ApiSettings, tmp_path: Path, how: str) -> None:
    break_it(tmp_path, how)
    with pytest.raises(UnusableCertificate) as caught:
        examine(settings, Clock())
    assert how in caught.value.message
    assert str(tmp_path) in caught.value.message
