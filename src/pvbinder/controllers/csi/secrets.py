"""The secrets that a driver gets with a call: read when it is made, kept nowhere."""

from __future__ import annotations

import base64
import binascii
from typing import Final

from pvbinder.kube.client import Client
from pvbinder.kube.errors import ApiFailure, ConnectionFailed
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import SECRETS
from pvbinder.rules.csi.secrets import SecretReference

_SECRETS: Final = metadata_of(SECRETS)


class SecretMissingError(PvbinderError):
    """A secret that can't be read; the message names it and says why, and nothing of its content."""


async def read_secret(client: Client, secret: SecretReference) -> dict[str, str]:
    """Return the content of a secret (SE-6); raise SecretMissingError."""
    what = f"error getting secret {secret.name} in namespace {secret.namespace}"
    try:
        found = await client.get(_SECRETS, secret.name, secret.namespace)
    except (ApiFailure, ConnectionFailed) as error:
        raise SecretMissingError(f"{what}: {error.message}") from error
    content: dict[str, str] = {}
    for key, value in (found.document().get("data") or {}).items():
        try:
            content[key] = base64.b64decode(value, validate=True).decode()
        except (binascii.Error, ValueError):
            raise SecretMissingError(f"{what}: the value of {key} is no text") from None
    return content
