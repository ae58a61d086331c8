"""The certificate of an endpoint, with files that change (SERVING-1 to SERVING-3)."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import aiohttp
import pytest

from pvbinder.metrics.endpoint import Endpoint
from pvbinder.metrics.metrics import Metrics
from pvbinder.metrics.serving import ServingCertificate, ServingError
from pvbinder.server.identity.certificates import Identity


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, Path, Path]]:
    """Two authorities, each with a certificate of a server and its key."""
    made = [Identity.load_or_make(tmp_path_factory.mktemp("pki") / "pki") for _ in range(2)]
    return [(one.authority, one.path("server.crt"), one.path("server.key")) for one in made]


async def is_trusted(url: str, authority: Path) -> bool:
    context = ssl.create_default_context(cafile=authority)
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/livez", ssl=context) as answer:
            return answer.status == 200
    except aiohttp.ClientConnectorCertificateError:
        return False


async def test_serving_1_a_renewed_certificate_is_shown_and_a_bad_one_is_not(
    tmp_path: Path, pairs: list[tuple[Path, Path, Path]], caplog: pytest.LogCaptureFixture
) -> None:
    files = tmp_path / "tls.crt", tmp_path / "tls.key"

    def put(certificate: Path, key: Path) -> None:
        files[0].write_bytes(certificate.read_bytes())
        files[1].write_bytes(key.read_bytes())

    put(*pairs[0][1:])
    certificate = ServingCertificate(files)
    async with Endpoint(Metrics(), tls=certificate.context) as endpoint:
        assert endpoint.url.startswith("https://")
        assert await is_trusted(endpoint.url, pairs[0][0])
        put(pairs[1][1], pairs[0][2])  # in the middle of a renewal
        certificate.look_again(files)
        files[1].unlink()
        certificate.look_again(files)
        assert [one.levelno for one in caplog.records] == [logging.WARNING] * 2
        assert await is_trusted(endpoint.url, pairs[0][0])
        put(*pairs[1][1:])
        certificate.look_again(files)
        assert await is_trusted(endpoint.url, pairs[1][0])
        assert not await is_trusted(endpoint.url, pairs[0][0])


async def test_serving_2_without_files_it_makes_its_own() -> None:
    async with (
        Endpoint(Metrics(), tls=ServingCertificate().context) as endpoint,
        aiohttp.ClientSession() as session,
        session.get(f"{endpoint.url}/livez", ssl=False) as answer,
    ):
        assert answer.status == 200


def test_serving_3_what_can_not_be_used_is_refused_and_leaves_no_file(
    tmp_path: Path, pairs: list[tuple[Path, Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "temporary").mkdir()
    (tmp_path / "nonsense").write_text("nonsense")
    for files in (
        (pairs[0][1], pairs[1][2]),
        (tmp_path / "nonsense", pairs[0][2]),
        (pairs[0][1], tmp_path / "nothing"),
    ):
        with pytest.raises(ServingError):
            ServingCertificate(files)
    ServingCertificate(pairs[0][1:])
    with pytest.raises(ServingError, match="authority of client certificates"):
        ServingCertificate().trust(b"nonsense")
    assert list((tmp_path / "temporary").iterdir()) == []
