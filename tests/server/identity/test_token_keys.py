"""The keys of tokens: the choice by the token, the spelling of a signature, and the checks of the file."""

from __future__ import annotations

import base64
import errno
import hashlib
import hmac
import json
import os
import string
import subprocess
import sys
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pvbinder.server.errors import ApiError
from pvbinder.server.files.private_files import PrivateFileError
from pvbinder.server.identity.token_keys import SigningKey, TokenKeys, lower

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
OLDER = bytes(range(32))
CLAIMS: dict[str, Any] = {"iss": "somebody", "sub": "robot"}
FILE = "service-account.pem"


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def jose(header: dict[str, Any], claims: str, key: bytes, digest: str = "sha256") -> str:
    """A token with any header, sealed with a secret."""
    head = encoded(json.dumps(header, separators=(",", ":")).encode())
    return f"{head}.{claims}.{encoded(hmac.digest(key, f'{head}.{claims}'.encode(), digest))}"


def signed_by(keys: TokenKeys, header: dict[str, Any], claims: str) -> str:
    """A token with any header, signed with our own key as ES256 is, in the form that counts."""
    head = encoded(json.dumps(header, separators=(",", ":")).encode())
    algorithm = jwt.algorithms.get_default_algorithms()["ES256"]
    return f"{head}.{claims}.{encoded(lower(algorithm.sign(f'{head}.{claims}'.encode(), keys.signing().private)))}"


def header_of(keys: TokenKeys) -> dict[str, Any]:
    return {"alg": "ES256", "kid": keys.signing().kid}


@pytest.fixture
def keys(tmp_path: Path) -> TokenKeys:
    return TokenKeys(tmp_path, OLDER)


def test_a_token_names_its_key_as_the_reference_names_keys(keys: TokenKeys) -> None:
    token = keys.sign(CLAIMS)
    der = (
        keys.signing()
        .private.public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": encoded(hashlib.sha256(der).digest())}
    assert keys.verified(token) == CLAIMS


def test_token_keys_1_a_token_with_the_header_of_no_key_is_nobodys_though_our_key_signed_it(keys: TokenKeys) -> None:
    claims, usual = keys.sign(CLAIMS).split(".")[1], header_of(keys)
    assert keys.verified(signed_by(keys, usual, claims)) == CLAIMS
    for header in (
        {"alg": "ES256"},
        {**usual, "kid": "other"},
        {**usual, "kid": usual["kid"] + "="},
        {**usual, "kid": "../../dev/null"},
        {**usual, "typ": "JWT"},
        {**usual, "alg": "ES384"},
        {**usual, "alg": "RS256"},
        {**usual, "alg": "none"},
        {**usual, "crit": ["b64"], "b64": False},
        {**usual, "jwk": keys.signing().public},
        {**usual, "jku": "https://elsewhere.example.com/jwks"},
        dict(reversed(usual.items())),
    ):
        assert keys.verified(signed_by(keys, header, claims)) is None, header
    for spaced in (json.dumps(usual), json.dumps(usual, separators=(",", ": "))):
        head = encoded(spaced.encode())
        assert keys.verified(f"{head}.{claims}.AA") is None


def test_token_keys_1_what_is_public_is_no_secret_to_sign_with(keys: TokenKeys) -> None:
    """The attack on libraries that let the header choose: HS256, with the published key as its secret."""
    claims, public = keys.sign(CLAIMS).split(".")[1], keys.signing().private.public_key()
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    pem, der = (
        public.public_bytes(serialization.Encoding.PEM, spki),
        public.public_bytes(serialization.Encoding.DER, spki),
    )
    point = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    key_set = json.dumps(keys.signing().public).encode()
    for secret in (pem, pem.strip(), der, point, point[1:33], key_set, b"", keys.signing().kid.encode()):
        for header in (
            {"alg": "HS256", "typ": "JWT"},
            {"alg": "HS256", "kid": keys.signing().kid},
            header_of(keys),
        ):
            assert keys.verified(jose(header, claims, secret)) is None, (header, secret)


def test_token_keys_1_a_token_of_another_key_or_none_is_nobodys(keys: TokenKeys, tmp_path: Path) -> None:
    token, kid = keys.sign(CLAIMS), keys.signing().kid
    headers = {"typ": "", "kid": kid}
    other = ec.generate_private_key(ec.SECP256R1())
    assert keys.verified(jwt.encode(CLAIMS, other, "ES256", headers)) is None
    assert keys.verified(jwt.encode(CLAIMS, rsa.generate_private_key(65537, 2048), "RS256", headers)) is None
    assert keys.verified(jwt.encode(CLAIMS, "", "none", headers)) is None
    signed, _, signature = token.rpartition(".")
    head, claims = signed.split(".")
    for wrong in ("", "AA", encoded(bytes(64)), encoded(bytes(32) + decoded(signature)[32:]), signature + "AAAA"):
        assert keys.verified(f"{signed}.{wrong}") is None, wrong
    assert keys.verified(f"{head}.{claims[:-2]}AA.{signature}") is None
    assert keys.verified(f"{signed}") is None
    assert keys.verified(f"{head}.{encoded(b'[' * 9000)}.{signature}") is None
    assert TokenKeys(tmp_path / "fresh", OLDER).verified(token) is None, "a server without a key yet"


def test_token_keys_1_a_token_of_the_older_secret_is_good_with_its_own_header_only(keys: TokenKeys) -> None:
    claims, usual = encoded(json.dumps(CLAIMS).encode()), {"alg": "HS256", "typ": "JWT"}
    assert keys.verified(jose(usual, claims, OLDER)) == CLAIMS, "as an older version wrote it"
    for name, digest in (("HS512", "sha512"), ("HS384", "sha384"), ("RS256", "sha256"), ("none", "sha256")):
        assert keys.verified(jose({**usual, "alg": name}, claims, OLDER, digest)) is None, name
    for header in (
        {**usual, "crit": ["b64"], "b64": False},
        {**usual, "crit": ["exp"]},
        {**usual, "jwk": {"kty": "oct", "k": "AA"}},
        {**usual, "kid": "../../dev/null"},
        {"alg": "HS256"},
        header_of(keys),
    ):
        assert keys.verified(jose(header, claims, OLDER)) is None, header
    nested = encoded(b"[" * 9_000)
    assert keys.verified(f"{nested}.{claims}.AA") is None
    assert keys.verified(jose(usual, nested, OLDER)) is None, "signed, and no JSON"
    assert keys.verified(signed_by(keys, usual, claims)) is None


def test_token_keys_2_the_other_form_of_a_signature_is_nobodys(keys: TokenKeys) -> None:
    public = keys.signing().private.public_key()
    for _ in range(32):  # half of the library's signatures have the higher form
        token = keys.sign(CLAIMS)
        signed, _, text = token.rpartition(".")
        signature = decoded(text)
        s = int.from_bytes(signature[32:], "big")
        assert s <= ORDER // 2
        other = f"{signed}.{encoded(signature[:32] + (ORDER - s).to_bytes(32, 'big'))}"
        assert jwt.decode(other, public, ["ES256"]) == CLAIMS, "what ECDSA takes for the same"
        assert keys.verified(other) is None
        assert keys.verified(token) == CLAIMS


@pytest.mark.parametrize("which", ["ES256", "HS256"])
def test_token_keys_2_a_signature_counts_in_one_spelling(keys: TokenKeys, which: str) -> None:
    """The last character of a signature has bits to spare, and decoders pass over what isn't base64."""
    older = jose({"alg": "HS256", "typ": "JWT"}, encoded(json.dumps(CLAIMS).encode()), OLDER)
    token, same_count = (keys.sign(CLAIMS), 15) if which == "ES256" else (older, 3)
    signature = decoded(token.rpartition(".")[2])
    spellings = [token[:-1] + last for last in string.ascii_letters + string.digits + "-_" if last != token[-1]]
    same = [one for one in spellings if decoded(one.rpartition(".")[2]) == signature]
    assert len(same) == same_count, "what a decoder takes for the same"
    for other in (*spellings, f"{token}=", f"{token}!!!!", f"{token}\n", token[:-1] + f"!{token[-1]}", f"{token}."):
        assert keys.verified(other) is None, other
    assert keys.verified(token) == CLAIMS


def damaged(text: bytes) -> dict[str, bytes]:
    """Files that are no key, each in a way of its own."""
    line, _, pem = text.partition(b"\n")
    middle = len(text) // 2

    def with_digest(body: bytes) -> bytes:
        return line.rpartition(b" ")[0] + b" " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    def written(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
        form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return key.private_bytes(serialization.Encoding.PEM, form, encryption)

    return {
        "empty": b"",
        "cut": text[:-20],
        "cut at a line": text[: text.rindex(b"-----END")],
        "zeroed": bytes(len(text)),
        "blank": b"\n" * len(text),
        "longer": text + b"\n",
        "twice": text + text,
        "one character changed": text[:middle]
        + (b"A" if text[middle : middle + 1] != b"A" else b"B")
        + text[middle + 1 :],
        "no line with the digest": pem,
        "lines of Windows": text.replace(b"\n", b"\r\n"),
        "a key for P-384": with_digest(written(ec.generate_private_key(ec.SECP384R1()))),
        "a key for RSA": with_digest(written(rsa.generate_private_key(65537, 2048))),
        "the secret of an older version": OLDER,
    }


def test_token_keys_3_a_file_that_is_no_key_is_refused_by_name_and_left_as_it_is(tmp_path: Path) -> None:
    TokenKeys(tmp_path).signing()
    path = tmp_path / FILE
    for what, text in damaged(path.read_bytes()).items():
        path.write_bytes(text)
        with pytest.raises(PrivateFileError) as refused:
            TokenKeys.load(tmp_path)
        assert str(path) in refused.value.message, what
        assert "put back a copy" in str(refused.value.hint), what
        assert path.read_bytes() == text
        with pytest.raises(ApiError, match=FILE):  # one that was put there while the server runs
            TokenKeys(tmp_path).sign(CLAIMS)
        assert path.read_bytes() == text


def test_token_keys_3_a_changed_bit_anywhere_in_the_file_is_noticed(tmp_path: Path) -> None:
    TokenKeys(tmp_path).signing()
    path = tmp_path / FILE
    whole = path.read_bytes()
    for at in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(PrivateFileError):
            TokenKeys.load(tmp_path)


def test_token_keys_3_numbers_that_are_no_key_are_an_error_without_a_traceback(tmp_path: Path) -> None:
    """Somebody wrote the digest, too: a start without `cryptography` can't see it."""
    key = SigningKey(TokenKeys(tmp_path).signing().der)
    for der in (key.der[:36] + bytes(32) + key.der[68:], key.der[:-1] + bytes([key.der[-1] ^ 1])):
        with pytest.raises(ApiError, match=r"service-account\.pem"):
            SigningKey(der).sign(CLAIMS)


def test_token_keys_3_a_link_or_directory_in_the_place_of_the_key_is_refused(tmp_path: Path) -> None:
    TokenKeys(tmp_path).signing()
    (tmp_path / FILE).rename(tmp_path / "elsewhere")
    (tmp_path / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PrivateFileError, match=f"{FILE} is a link"):
        TokenKeys.load(tmp_path)
    (tmp_path / FILE).unlink()
    (tmp_path / FILE).mkdir()
    with pytest.raises(PrivateFileError, match=f"{FILE} is a directory"):
        TokenKeys.load(tmp_path)


def test_token_keys_3_a_new_key_is_its_owners_alone(keys: TokenKeys, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        keys.signing()
    finally:
        os.umask(before)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    loaded = serialization.load_pem_private_key((tmp_path / FILE).read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey), "as other tools read it"
    assert repr(keys.signing()) == "SigningKey()"
    assert str(OLDER) not in repr(keys)


def test_token_keys_4_a_key_is_made_when_it_is_needed_and_outlives_a_restart(tmp_path: Path) -> None:
    first = TokenKeys.load(tmp_path)
    assert first.verified("a.b.c") is None
    assert list(tmp_path.iterdir()) == [], "a start makes none"
    token = first.sign(CLAIMS)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    again = TokenKeys.load(tmp_path)
    assert (again.verified(token), again.signing().public) == (CLAIMS, first.signing().public)


def test_token_keys_3_on_a_full_disk_no_key_is_used_that_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    keys = TokenKeys(tmp_path)
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", full)
        with pytest.raises(ApiError, match=r"there is no key to sign tokens with: .*the disk is full") as refused:
            keys.sign(CLAIMS)
    assert refused.value.code == 500
    assert list(tmp_path.iterdir()) == []
    token = keys.sign(CLAIMS)
    assert TokenKeys.load(tmp_path).verified(token) == CLAIMS


def test_token_keys_4_a_token_of_an_older_version_is_good_while_its_secret_is_there(tmp_path: Path) -> None:
    path = tmp_path / "service-account.key"
    path.write_bytes(OLDER)
    path.chmod(0o600)
    token = jose({"alg": "HS256", "typ": "JWT"}, encoded(json.dumps(CLAIMS).encode()), OLDER)
    assert TokenKeys.load(tmp_path).verified(token) == CLAIMS
    path.unlink()
    assert TokenKeys.load(tmp_path).verified(token) is None


def test_a_start_checks_the_key_without_cryptography(tmp_path: Path) -> None:
    TokenKeys(tmp_path).signing()
    code = (
        "import sys, pathlib; from pvbinder.server.identity.token_keys import TokenKeys;"
        " TokenKeys.load(pathlib.Path(sys.argv[1])).signing().public;"
        " print([name for name in ('cryptography', 'jwt') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
