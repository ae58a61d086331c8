"""Volumes of a pod whose files come from objects: secrets, config maps, the pod itself, and several together.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from collections.abc import Iterator

from pvbinder.server.errors import FieldError, forbidden, invalid, required
from pvbinder.server.kinds.validation.downward_fields import (
    IN_FILES,
    validate_field_reference,
    validate_resource_reference,
)
from pvbinder.server.kinds.validation.paths import has_backsteps
from pvbinder.server.objects.kind import Json

_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_TOKEN_SECONDS_MIN = 600
_TOKEN_SECONDS_MAX = 2**32


def validate_secret(source: Json, path: str, _name: str) -> list[FieldError]:
    """Check the files of a secret."""
    return _validate_keys(source, path, "secretName")


def validate_config_map(source: Json, path: str, _name: str) -> list[FieldError]:
    """Check the files of a config map."""
    return _validate_keys(source, path, "name")


def validate_downward(source: Json, path: str, _name: str) -> list[FieldError]:
    """Check files with fields of the pod; their errors are told of the volume (sic)."""
    errors = _validate_mode(source, path, "defaultMode")
    for file in source.get("items") or ():
        errors += _validate_file(file, path)
    return errors


def validate_projected(source: Json, path: str, _name: str) -> list[FieldError]:
    """Check what is put together in one volume: no two files have the same place."""
    errors = _validate_mode(source, path, "defaultMode")
    places: set[str] = set()
    for index, each in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        there = [kind for kind in _PROJECTED if each.get(kind) is not None]
        for kind in there:
            if kind == "serviceAccountToken":
                errors += _validate_token(each[kind], f"{at}.{kind}", path)
            elif kind == "downwardAPI":
                for file in each[kind].get("items") or ():
                    errors += _validate_file(file, f"{at}.{kind}")
            else:
                errors += _validate_keys(each[kind], f"{at}.{kind}", "name")
            for place, shown in _places(kind, each[kind]):
                if place in places:
                    errors.append(invalid(path, shown, "conflicting duplicate paths"))
                places.add(place)
        if len(there) > 1:
            errors.append(forbidden(at, "may not specify more than 1 volume type per source"))
    return errors


_PROJECTED = ("secret", "configMap", "downwardAPI", "serviceAccountToken")


def _places(kind: str, source: Json) -> Iterator[tuple[str, str]]:
    """Yield the places of files, and what the reference shows when one is taken."""
    if kind == "serviceAccountToken":
        return
    for item in source.get("items") or ():
        place = item.get("path", "")
        if place:
            yield place, place if kind == "downwardAPI" else source.get("name", "")


def _validate_keys(source: Json, path: str, name_field: str) -> list[FieldError]:
    errors = [] if source.get(name_field) else [required(f"{path}.{name_field}")]
    errors += _validate_mode(source, path, "defaultMode")
    for index, item in enumerate(source.get("items") or ()):
        at = f"{path}.items[{index}]"
        errors += (required(f"{at}.{field}") for field in ("key", "path") if not item.get(field))
        errors += _validate_place(item.get("path", ""), f"{at}.path")
        errors += _validate_mode(item, at, "mode")
    return errors


def _validate_file(file: Json, path: str) -> list[FieldError]:
    errors = [] if file.get("path") else [required(f"{path}.path")]
    errors += _validate_place(file.get("path", ""), f"{path}.path")
    field, amount = file.get("fieldRef"), file.get("resourceFieldRef")
    if field is not None:
        errors += validate_field_reference(field, f"{path}.fieldRef", IN_FILES)
        if amount is not None:
            why = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid(path, "resource", why))
    elif amount is not None:
        errors += validate_resource_reference(amount, f"{path}.resourceFieldRef", in_file=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + _validate_mode(file, path, "mode")


def _validate_token(token: Json, path: str, volume_path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seconds = token.get("expirationSeconds", 0)
    at = f"{path}.expirationSeconds"
    if seconds < _TOKEN_SECONDS_MIN:
        errors.append(invalid(at, seconds, "may not specify a duration less than 10 minutes"))
    if seconds > _TOKEN_SECONDS_MAX:
        errors.append(invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"))
    if not token.get("path"):
        return [*errors, required(f"{volume_path}.path")]  # sic: of the volume
    return errors + _validate_place(token["path"], f"{volume_path}.path")


def _validate_place(place: str, path: str) -> list[FieldError]:
    """Check that a file is below its volume, and isn't one of those that begin with two dots."""
    errors = [invalid(path, place, "must be a relative path")] if place.startswith("/") else []
    if has_backsteps(place):
        errors.append(invalid(path, place, "must not contain '..'"))
    if place.startswith("..") and not place.startswith("../"):
        errors.append(invalid(path, place, "must not start with '..'"))
    return errors


def _validate_mode(obj: Json, path: str, field: str) -> list[FieldError]:
    mode = obj.get(field)
    return [] if mode is None or 0 <= mode <= 0o777 else [invalid(f"{path}.{field}", mode, _MODE)]
