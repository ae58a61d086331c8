"""The certificate of an endpoint, with files that change (SERVING-1 to SERVING-5)."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import aiohttp
import pytest

from pvbinder.metrics.endpoint import Endpoint
from pvbinder.metrics.metrics import Metrics
from pvbinder.metrics.serving import CIPHER_SUITES, ServingCertificate, ServingError, found_or_made
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


def test_serving_4_a_pair_is_made_once_in_a_directory_and_found_again(tmp_path: Path) -> None:
    files = found_or_made(tmp_path / "new" / "certificates")
    made = [file.read_bytes() for file in files]
    assert [file.name for file in files] == ["pvbinder.crt", "pvbinder.key"]
    assert files[1].stat().st_mode & 0o777 == 0o600
    ServingCertificate(files)

    assert found_or_made(files[0].parent) == files
    assert [file.read_bytes() for file in files] == made


@pytest.mark.parametrize("kept", [0, 1])
def test_serving_4_a_half_of_a_pair_is_refused(tmp_path: Path, kept: int) -> None:
    files = found_or_made(tmp_path)
    files[1 - kept].unlink()
    with pytest.raises(ServingError, match=f"{files[1 - kept].name} is missing beside {files[kept].name}"):
        found_or_made(tmp_path)
    assert not files[1 - kept].exists()


def test_serving_4_a_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServingError, match="--cert-dir: "):
        found_or_made(tmp_path / "file" / "below")


def test_serving_5_only_the_suites_that_are_named_are_taken() -> None:
    def names(*suites: str) -> list[str]:
        context = ServingCertificate(cipher_suites=suites).context
        return [one["name"] for one in context.get_ciphers() if one["protocol"] == "TLSv1.2"]

    one = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"
    assert names(one, "TLS_AES_128_GCM_SHA256") == ["ECDHE-RSA-AES128-GCM-SHA256"]
    assert len(names()) > 1
    only_13 = ServingCertificate(cipher_suites=["TLS_AES_128_GCM_SHA256"]).context
    assert only_13.minimum_version == ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("name", CIPHER_SUITES)
def test_serving_5_each_suite_is_one_that_the_library_knows(name: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(CIPHER_SUITES[name] + ":@SECLEVEL=0")
    assert CIPHER_SUITES[name] in {one["name"] for one in context.get_ciphers()}


def test_serving_5_a_suite_that_there_is_not_is_named() -> None:
    with pytest.raises(ServingError, match=r"no safe cipher suite TLS_RSA_WITH_RC4_128_SHA"):
        ServingCertificate(cipher_suites=["TLS_RSA_WITH_RC4_128_SHA"])
    with pytest.raises(ServingError, match=r"did you mean TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256\?"):
        ServingCertificate(cipher_suites=["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA265"])
