"""Secret and ConfigMap: data by key, immutable on request.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

import base64

from pvbinder.model.resources import CONFIG_MAPS, SECRETS
from pvbinder.server.errors import FieldError, forbidden, invalid, required, too_long
from pvbinder.server.kinds.parts.columns import AGE, NAME, count_cell, field_cell
from pvbinder.server.kinds.validation.metadata import IMMUTABLE
from pvbinder.server.kinds.validation.names import check_config_key
from pvbinder.server.objects.kind import METADATA_FIELDS, Column, Json, ServedKind, drop_empty
from pvbinder.server.objects.schema.json_text import JsonTextError, Members, kind_of, parse

_DATA_BYTES_MAX = 1024 * 1024
_IMMUTABLE_WHEN_SET = "field is immutable when `immutable` is set"
_REQUIRED_KEYS = {
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
}
_DOCKER = ("kubernetes.io/dockercfg", "kubernetes.io/dockerconfigjson")
_REDACTED = "<secret contents redacted>"
_ACCOUNT_ANNOTATION = "kubernetes.io/service-account.name"


def default_secret(secret: Json) -> None:
    """Merge ``stringData`` into ``data`` and fill in the type."""
    texts = secret.pop("stringData", None)
    if texts:
        data = secret.get("data")
        if data is None:
            data = secret["data"] = {}
        for key, text in texts.items():
            data[key] = base64.b64encode(text.encode()).decode()
    drop_empty(secret, "data", "type")
    secret.setdefault("type", "Opaque")


def validate_secret(secret: Json) -> list[FieldError]:
    """Check keys, size, and the keys that its type needs."""
    data: Json = secret.get("data") or {}
    errors: list[FieldError] = []
    size = 0
    for key, value in data.items():
        errors += (invalid(f"data[{key}]", key, reason) for reason in check_config_key(key))
        size += len(value) // 4 * 3 - value.count("=")
    if size > _DATA_BYTES_MAX:
        errors.append(too_long("data", _DATA_BYTES_MAX))
    kind = secret.get("type", "")
    for key in _REQUIRED_KEYS.get(kind, ()):
        if key not in data or (kind == "kubernetes.io/ssh-auth" and not data[key]):
            errors.append(required(f"data[{key}]"))
        elif kind in _DOCKER:
            errors += _validate_docker(data[key], f"data[{key}]")
    if kind == "kubernetes.io/basic-auth" and not {"username", "password"} & data.keys():
        errors += [required("data[username]"), required("data[password]")]
    annotations = secret["metadata"].get("annotations") or {}
    if kind == "kubernetes.io/service-account-token" and not annotations.get(_ACCOUNT_ANNOTATION):
        errors.append(required(f"metadata.annotations[{_ACCOUNT_ANNOTATION}]"))
    return errors


def _validate_docker(value: str, path: str) -> list[FieldError]:
    """Check that the data of a registry is a JSON object; it isn't shown."""
    try:
        parsed = parse(base64.b64decode(value))
    except JsonTextError as error:
        return [invalid(path, _REDACTED, error.message)]
    if parsed is None or isinstance(parsed, dict | Members):
        return []
    why = f"json: cannot unmarshal {kind_of(parsed)} into Go value of type map[string]interface {{}}"
    return [invalid(path, _REDACTED, why)]


def validate_secret_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed secret; its type can't change, and nothing of an immutable one."""
    errors: list[FieldError] = []
    if new.get("type") != old.get("type"):
        errors.append(invalid("type", new.get("type"), IMMUTABLE))
    errors += _keep_immutable(new, old, ("data",))
    return errors + validate_secret(new)


def default_config_map(config_map: Json) -> None:
    """Leave empty data out."""
    drop_empty(config_map, "data", "binaryData")


def validate_config_map(config_map: Json) -> list[FieldError]:
    """Check keys and size."""
    errors: list[FieldError] = []
    data: Json = config_map.get("data") or {}
    binary: Json = config_map.get("binaryData") or {}
    size = 0
    for key, value in data.items():
        errors += (invalid(f"data[{key}]", key, reason) for reason in check_config_key(key))
        if key in binary:
            errors.append(invalid(f"data[{key}]", key, "duplicate of key present in binaryData"))
        size += len(value.encode())
    for key, value in binary.items():
        errors += (invalid(f"binaryData[{key}]", key, reason) for reason in check_config_key(key))
        size += len(value) // 4 * 3 - value.count("=")
    if size > _DATA_BYTES_MAX:
        errors.append(too_long("[]", _DATA_BYTES_MAX))
    return errors


def validate_config_map_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed config map; nothing of an immutable one changes."""
    return _keep_immutable(new, old, ("data", "binaryData")) + validate_config_map(new)


def _keep_immutable(new: Json, old: Json, fields: tuple[str, ...]) -> list[FieldError]:
    if not old.get("immutable"):
        return []
    errors = [] if new.get("immutable") else [forbidden("immutable", _IMMUTABLE_WHEN_SET)]
    return errors + [forbidden(field, _IMMUTABLE_WHEN_SET) for field in fields if new.get(field) != old.get(field)]


def _data_cell(config_map: Json, _now: object) -> object:
    return len(config_map.get("data") or {}) + len(config_map.get("binaryData") or {})


def _secret_type(secret: Json) -> str:
    return str(secret.get("type", ""))


SECRET = ServedKind(
    resource=SECRETS,
    singular="secret",
    schema="io.k8s.api.core.v1.Secret",
    delete_returns_object=False,
    default=default_secret,
    validate_create=validate_secret,
    validate_update=validate_secret_update,
    metadata_checks=("change", "whole"),
    columns=(NAME, Column("Type", field_cell("type")), Column("Data", count_cell("data")), AGE),
    selectable_fields={**METADATA_FIELDS, "type": _secret_type},
)

CONFIG_MAP = ServedKind(
    resource=CONFIG_MAPS,
    singular="configmap",
    schema="io.k8s.api.core.v1.ConfigMap",
    short_names=("cm",),
    delete_returns_object=False,
    default=default_config_map,
    validate_create=validate_config_map,
    validate_update=validate_config_map_update,
    metadata_checks=("change", "whole"),
    columns=(NAME, Column("Data", _data_cell), AGE),
)
