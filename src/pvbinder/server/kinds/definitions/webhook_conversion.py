"""Versions between which a webhook would convert: no webhook is called here, so an object goes over as it is, or not.

CONVERSION-1  Nothing is lost: an object that the other version's schema would prune isn't shown in that version, nor
              stored from it. The answer is the reference's when a webhook can't be called (500), with the first field
              that would be lost.
CONVERSION-2  Objects that both versions know whole go over with nothing but ``apiVersion`` changed.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from pvbinder.server.errors import ApiError
from pvbinder.server.objects.kind import Json

_HEADER = ("kind", "apiVersion", "metadata")


def calls_webhook(definition: Json) -> bool:
    """Whether a definition has its objects converted by a webhook."""
    return ((definition.get("spec") or {}).get("conversion") or {}).get("strategy") == "Webhook"


def without_loss(
    convert: Callable[[Json], Json], definition: Json, *, stores: Callable[[Json], Json] | None = None
) -> Callable[[Json], Json]:
    """Return `convert` so that it refuses what it, or what is then done to store it, would lose (CONVERSION-1)."""

    def converted(obj: Json) -> Json:
        sent = obj if stores is None else deepcopy(obj)  # before defaults, which nobody has said
        made = convert(obj)
        kept = made if stores is None else stores(made)
        lost = lost_field(sent, kept)
        if lost:
            raise _failed(obj, definition, lost)
        return made

    return converted


def lost_field(before: Json, after: Json) -> str:
    """Return the path of the first field that is only in `before`; "" if nothing is lost."""
    left_out = (name for name in before if name not in _HEADER)
    return next(filter(None, (_lost(before[name], after.get(name), name) for name in left_out)), "")


def _lost(before: Any, after: Any, path: str) -> str:
    if before is None:
        return ""
    if isinstance(before, dict) and isinstance(after, dict):
        return next(filter(None, (_lost(value, after.get(key), f"{path}.{key}") for key, value in before.items())), "")
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return next(filter(None, (_lost(one, other, f"{path}[{at}]") for at, (one, other) in pairs)), "")
    return "" if before == after else path


def _failed(obj: Json, definition: Json, lost: str) -> ApiError:
    """500 of an object that only the webhook could convert."""
    client = definition["spec"]["conversion"]["webhook"].get("clientConfig") or {}
    service = client.get("service") or {}
    url = client.get("url")
    if url is None:
        host = f"{service.get('name', '')}.{service.get('namespace', '')}.svc:{service.get('port', 443)}"
        url = f"https://{host}{service.get('path') or '/'}"
    why = f"this server calls no webhooks, and {lost} would be lost without: use the version that is stored"
    about = f"{obj.get('apiVersion', '')}, Kind={obj.get('kind', '')}"
    return ApiError(500, "", f'conversion webhook for {about} failed: Post "{url}?timeout=30s": {why}')
