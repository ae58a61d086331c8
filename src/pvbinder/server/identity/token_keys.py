"""The keys of service accounts' tokens: one that signs and is published, and the secret of older versions.

TOKEN_KEYS-1  A token's exact beginning chooses its one algorithm and key; nothing else that the token says does.
TOKEN_KEYS-2  A signature has one form: of the two that ECDSA takes for each other, (r, s) and (r, n-s), the lower.
TOKEN_KEYS-3  A key file is read only if it is whole, ours and closed to others; one that isn't stops the start.
TOKEN_KEYS-4  A key outlives a restart. Tokens that an older version signed (HS256) are good while its file is there.

The key is one for P-256 (ES256), made when somebody first needs it. Its file begins with a line that has the digest of
what follows, so a start can check it without `cryptography`; what is published is read off it without that, too. The
file of older versions is never made any more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pvbinder.model.json import Json, JsonError, decode, encode
from pvbinder.server.errors import ApiError
from pvbinder.server.files.private_files import PrivateFileError, read_secret, write_private

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from jwt import PyJWS

KEY_NAME: Final = "service-account.pem"
OLDER_NAME: Final = "service-account.key"
OLDER_BYTES = 32
OLDER_BYTES_DIFFERENT = 12  # 32 random bytes have fewer different ones once in 10^20
TOKEN_BYTES_MAX = 16 << 10
ALGORITHM: Final = "ES256"
_OLDER_ALGORITHM: Final = "HS256"
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of P-256 (SEC 2, 2.4.2)
_HALF_BYTES = 32  # of a signature, and of a point
# What is around the numbers of a key for P-256: PKCS #8 of the private one, SubjectPublicKeyInfo of the public one.
_PRIVATE_BEGINNING: Final = bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420")
_PRIVATE_MIDDLE: Final = bytes.fromhex("a144034200")
_PUBLIC_BEGINNING: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_POINT_BYTES = 1 + 2 * _HALF_BYTES
_MIDDLE = len(_PRIVATE_BEGINNING) + _HALF_BYTES
_DER_BYTES = _MIDDLE + len(_PRIVATE_MIDDLE) + _POINT_BYTES
_FILE = re.compile(
    rb"pvbinder's key for tokens of service accounts, SHA-256 ([0-9a-f]{64})\n"
    rb"(-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]+)-----END PRIVATE KEY-----\n)"
)


@dataclass(frozen=True)
class SigningKey:
    """A key for P-256, as its file has it; `der` is PKCS #8."""

    der: bytes = field(repr=False)

    @property
    def _point(self) -> bytes:
        return self.der[-_POINT_BYTES:]

    @cached_property
    def kid(self) -> str:
        """The name of the key: the digest of the public one, as in the reference."""
        return _base64url(hashlib.sha256(_PUBLIC_BEGINNING + self._point).digest())

    @cached_property
    def public(self) -> Json:
        """The public key as a set of web keys has it."""
        x, y = self._point[1 : 1 + _HALF_BYTES], self._point[1 + _HALF_BYTES :]
        return {
            "use": "sig",
            "kty": "EC",
            "kid": self.kid,
            "crv": "P-256",
            "alg": ALGORITHM,
            "x": _base64url(x),
            "y": _base64url(y),
        }

    @cached_property
    def beginning(self) -> str:
        """The beginning of every token that the key signed, and of no other."""
        return _base64url(b'{"alg":"%s","kid":"%s"}' % (ALGORITHM.encode(), self.kid.encode())) + "."

    @cached_property
    def private(self) -> EllipticCurvePrivateKey:
        """The key for `cryptography`."""
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_der_private_key

        try:
            loaded = load_der_private_key(self.der, None)
        except ValueError as error:
            why = f"Internal error occurred: the numbers in {KEY_NAME} are no key; delete it, and start anew"
            raise ApiError(500, "InternalError", why) from error
        assert isinstance(loaded, EllipticCurvePrivateKey), "the form of the file says so"
        return loaded

    @cached_property
    def verifier(self) -> EllipticCurvePublicKey:
        """The public key for `cryptography`."""
        return self.private.public_key()

    @cached_property
    def signer(self) -> PyJWS:
        """What signs and verifies, for this algorithm alone."""
        from jwt import PyJWS  # with `cryptography`, which a server without tokens of accounts can do without

        return PyJWS(algorithms=[ALGORITHM])

    def sign(self, claims: Json) -> str:
        """Return a token that says `claims` (TOKEN_KEYS-2)."""
        text = self.signer.encode(encode(claims), self.private, ALGORITHM, headers={"typ": "", "kid": self.kid})
        signed, _, signature = text.rpartition(".")
        return f"{signed}.{_base64url(lower(base64.urlsafe_b64decode(signature + '==')))}"


@dataclass
class TokenKeys:
    """The keys in a `directory`; without one they are kept nowhere."""

    directory: Path | None
    older: bytes | None = field(default=None, repr=False)
    _key: SigningKey | None = None

    @classmethod
    def load(cls, directory: Path | None) -> TokenKeys:
        """Return the keys that are kept in `directory`; raises PrivateFileError for one that is none (TOKEN_KEYS-3)."""
        if directory is None:
            return cls(None)
        return cls(directory, _read_older(directory / OLDER_NAME), _read_key(directory / KEY_NAME))

    def signing(self) -> SigningKey:
        """Return the key that signs, making it if there is none yet; ApiError 500 if that fails."""
        if self._key is None:
            path = self.directory / KEY_NAME if self.directory is not None else None
            try:
                found = _read_key(path) if path is not None else None
                if found is None:
                    found = _made()
                    if path is not None:
                        write_private(path, _file_of(found))
            except PrivateFileError as error:
                why = f"Internal error occurred: there is no key to sign tokens with: {error.message}"
                raise ApiError(500, "InternalError", why) from error
            self._key = found
        return self._key

    def sign(self, claims: Json) -> str:
        """Return a token that says `claims`."""
        return self.signing().sign(claims)

    def verified(self, token: str) -> Json | None:
        """Return the claims of a token that one of the keys signed (TOKEN_KEYS-1)."""
        if len(token) > TOKEN_BYTES_MAX or not token.isascii():
            return None
        if self._key is not None and token.startswith(self._key.beginning):
            return _verified(self._key.signer, token, self._key.verifier, ALGORITHM)
        if self.older is not None and token.startswith(_OLDER_BEGINNING):
            return _verified(self._older_signer, token, self.older, _OLDER_ALGORITHM)
        return None

    @cached_property
    def _older_signer(self) -> PyJWS:
        from jwt import PyJWS

        return PyJWS(algorithms=[_OLDER_ALGORITHM])


def lower(signature: bytes) -> bytes:
    """Return the one of the two forms of an ECDSA signature that counts (TOKEN_KEYS-2)."""
    s = int.from_bytes(signature[_HALF_BYTES:], "big")
    return signature[:_HALF_BYTES] + min(s, (_ORDER - s) % _ORDER).to_bytes(_HALF_BYTES, "big")


def _verified(signer: PyJWS, token: str, key: object, algorithm: str) -> Json | None:
    from jwt import InvalidTokenError

    try:
        found = signer.decode_complete(token, key, algorithms=[algorithm])  # type: ignore[arg-type]  # as it takes
        claims = decode(found["payload"])
    except (InvalidTokenError, JsonError):
        return None
    signature = found["signature"]
    if algorithm == ALGORITHM and signature != lower(signature):
        return None
    # the same signature can be written in several ways, and only one of them is the token that was given out
    return claims if token.endswith(f".{_base64url(signature)}") else None


def _read_older(path: Path) -> bytes | None:
    try:
        secret = read_secret(path)
    except FileNotFoundError:
        return None
    if len(secret) != OLDER_BYTES or len(set(secret)) < OLDER_BYTES_DIFFERENT:
        what = f"it has {len(secret)}" if len(secret) != OLDER_BYTES else "they aren't random"
        raise PrivateFileError(
            f"{path} is no signing key of {OLDER_BYTES} random bytes: {what}; everybody could sign tokens with it",
            hint="put back a copy, or delete it: tokens of service accounts that older versions made must be made anew",
        )
    return secret


def _read_key(path: Path) -> SigningKey | None:
    try:
        text = read_secret(path)
    except FileNotFoundError:
        return None
    why = "it isn't as pvbinder writes it"
    found = _FILE.fullmatch(text)
    if not text:
        why = "it is empty"
    elif found is not None:
        digest, der = found[1].decode(), _decoded(found[3])
        if digest != hashlib.sha256(found[2]).hexdigest():
            why = "it was changed or damaged"
        elif not _is_of_p256(der):
            why = "it is no key for P-256"
        else:
            return SigningKey(der)
    raise PrivateFileError(
        f"{path} is no key to sign tokens with: {why}",
        hint="put back a copy, or delete it: a new one is made, and tokens of service accounts must be made anew",
    )


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.replace(b"\n", b""), validate=True)
    except binascii.Error:
        return b""


def _is_of_p256(der: bytes) -> bool:
    has_form = der.startswith(_PRIVATE_BEGINNING) and der[_MIDDLE:].startswith(_PRIVATE_MIDDLE)
    return has_form and len(der) == _DER_BYTES


def _made() -> SigningKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    form, encryption = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = SigningKey(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(serialization.Encoding.DER, form, encryption)
    )
    assert _is_of_p256(key.der), "as we read it"
    return key


def _file_of(key: SigningKey) -> bytes:
    text = base64.b64encode(key.der)
    lines = b"\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    pem = b"-----BEGIN PRIVATE KEY-----\n" + lines + b"\n-----END PRIVATE KEY-----\n"
    digest = hashlib.sha256(pem).hexdigest().encode()
    return b"pvbinder's key for tokens of service accounts, SHA-256 " + digest + b"\n" + pem


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


_OLDER_BEGINNING: Final = _base64url(b'{"alg":"HS256","typ":"JWT"}') + "."  # of every token of an older version
