"""The kind CustomResourceDefinition itself: its defaults, its validation, its immutable fields."""

from __future__ import annotations

from pvbinder.model.resources import Resource
from pvbinder.server.errors import FieldError
from pvbinder.server.kinds.definitions.conditions import PENDING, with_condition
from pvbinder.server.kinds.definitions.definition_rules import (
    check_definition,
    check_definition_status,
    check_definition_update,
)
from pvbinder.server.kinds.definitions.internal_definition import internal_spec
from pvbinder.server.kinds.definitions.webhook_conversion import calls_webhook
from pvbinder.server.kinds.parts.columns import NAME, field_cell
from pvbinder.server.kinds.parts.status import keep_status
from pvbinder.server.kinds.validation.text_formats import unknown_formats
from pvbinder.server.objects.kind import Column, Json, ServedKind, Subresource

DEFINITIONS = Resource("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", False)
_CREATED = (
    "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed "
    "to be set in happens-before order across separate operations. Clients may not set this value. It is represented "
    "in RFC3339 form and is in UTC."
)
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"


def default_definition(obj: Json) -> None:
    """Fill in the defaults of a definition."""
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    if kind := names.get("kind"):
        if not names.get("singular"):
            names["singular"] = kind.lower()
        if not names.get("listKind"):
            names["listKind"] = f"{kind}List"
    spec.setdefault("conversion", {"strategy": "None"})
    status = obj.setdefault("status", {})
    status.setdefault("conditions", None)
    status.setdefault("acceptedNames", {"plural": "", "kind": ""})
    if not status.get("storedVersions"):
        stored = [version["name"] for version in spec.get("versions") or () if version.get("storage")]
        status["storedVersions"] = stored[:1] or None


def prepare_definition(obj: Json, _now: str) -> None:
    """Start without accepted names, and with the version in which objects will be stored."""
    stored = [version["name"] for version in obj["spec"].get("versions") or () if version.get("storage")][:1]
    obj["status"] = {
        "conditions": None,
        "acceptedNames": {"plural": "", "kind": ""},
        "storedVersions": stored or None,
    }


def terminate_definition(obj: Json) -> None:
    """Hold a definition that is being deleted until its objects are gone."""
    finalizers = obj["metadata"].setdefault("finalizers", [])
    if CLEANUP not in finalizers:
        finalizers.append(CLEANUP)
    now = obj["metadata"]["deletionTimestamp"]
    obj["status"] = with_condition(obj.get("status") or {}, "Terminating", PENDING, now)


def prepare_definition_update(new: Json, old: Json, now: str) -> None:
    """Keep the status, and remember a new storage version."""
    keep_status(new, old, now)
    status = dict(new.get("status") or {})
    stored = list(status.get("storedVersions") or [])
    for version in new["spec"].get("versions") or ():
        if version.get("storage") and version["name"] not in stored:
            stored.append(version["name"])
    new["status"] = {**status, "storedVersions": stored}


def validate_definition(obj: Json) -> list[FieldError]:
    """Check names, scope, versions and schemas, rules in CEL among them."""
    return list(check_definition(obj))


def validate_definition_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed definition, and its immutable fields; an unchanged spec isn't judged anew."""
    return list(check_definition_update(new, old))


def warn_of_definition(new: Json, old: Json | None) -> list[str]:
    """Warn of formats that aren't checked, and of conversion webhooks, which aren't called here."""
    known = _formats(old) if old is not None else []
    warnings = [f'unrecognized format "{name}"' for name in _formats(new) if name not in known]
    if calls_webhook(new) and not (old is not None and calls_webhook(old)):
        warnings.append(
            "spec.conversion.strategy: webhooks are not called by this server; an object is served in another version "
            "than the stored one only if nothing of it is lost"
        )
    return warnings


def _formats(definition: Json) -> list[str]:
    internal = internal_spec(definition.get("spec") or {})
    validations = [internal.common.get("schema"), *(version.get("schema") for version in internal.versions)]
    return [name for each in validations if each for name in unknown_formats(each.get("openAPIV3Schema"))]


def _keep_spec(new: Json, old: Json, _now: str) -> None:
    new["spec"] = old["spec"]


CUSTOM_RESOURCE_DEFINITION = ServedKind(
    resource=DEFINITIONS,
    singular="customresourcedefinition",
    schema="io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
    short_names=("crd", "crds"),
    categories=("api-extensions",),
    put_needs_revision=True,
    default=default_definition,
    prepare_create=prepare_definition,
    prepare_update=prepare_definition_update,
    validate_create=validate_definition,
    validate_update=validate_definition_update,
    warnings=warn_of_definition,
    terminate=terminate_definition,
    subresources=(Subresource("status", prepare_update=_keep_spec, validate_update=check_definition_status),),
    columns=(
        NAME,
        Column("Created At", field_cell("metadata", "creationTimestamp"), type="date", description=_CREATED),
    ),
    generation_at_create=1,
    generation_follows=("spec",),
)
