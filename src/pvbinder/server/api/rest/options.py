"""The query parameters of a request, and the options of a deletion, checked as the reference checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pvbinder.model.errors import PvbinderError
from pvbinder.model.resources import Resource
from pvbinder.server.errors import (
    ApiError,
    FieldError,
    bad_request,
    entity_too_large,
    forbidden,
    invalid,
    is_invalid,
    required,
    too_long,
    unsupported,
)
from pvbinder.server.identity.attributes import is_true
from pvbinder.server.objects import protobuf
from pvbinder.server.objects.go_text import parse_int64, parse_uint64
from pvbinder.server.objects.kind import Json
from pvbinder.server.objects.schema import json_text
from pvbinder.server.objects.schema.convert import Conversion, ConversionError
from pvbinder.server.objects.schema.media_types import PROTOBUF, YAML, media_type_of

Query = Mapping[str, list[str]]
FieldValidation = Literal["Strict", "Warn", "Ignore"]
OptionsKind = Literal["CreateOptions", "UpdateOptions", "PatchOptions"]

MANAGER_CHARACTERS_MAX = 128
_INT64_MAX = 2**63 - 1
_POLICIES = ("Foreground", "Background", "Orphan", "nil")


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """How a create, update or patch is to be done."""

    dry_run: bool = False
    field_validation: FieldValidation = "Warn"
    field_manager: str = ""
    force: bool | None = None


@dataclass(frozen=True, slots=True)
class ListOptions:
    """The options of a list or watch."""

    label_selector: str = ""
    field_selector: str = ""
    limit: int = 0
    continue_token: str = ""
    resource_version: str = ""
    resource_version_match: str = ""
    timeout_seconds: int | None = None
    allow_bookmarks: bool = False
    send_initial_events: bool | None = None


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How a deletion is to be done (DE-1, DE-5, DE-6)."""

    dry_run: bool = False
    grace_period_seconds: int | None = None
    propagation_policy: str | None = None
    uid: str | None = None
    resource_version: str | None = None


_NO_WRITE_OPTIONS = WriteOptions()


def read_write_options(kind: OptionsKind, query: Query, *, is_apply: bool = False) -> WriteOptions:
    """Read the options of a write; ApiError 422 if they are wrong."""
    if not query and not is_apply:
        return _NO_WRITE_OPTIONS
    errors: list[FieldError] = []
    manager = _first(query, "fieldManager")
    force = is_true(query["force"]) if "force" in query else None
    if kind == "PatchOptions":
        if is_apply and not manager:
            errors.append(required("fieldManager", "is required for apply patch"))
        elif not is_apply and force is not None:
            errors.append(forbidden("force", "may not be specified for non-apply patch"))
    if len(manager.encode()) > MANAGER_CHARACTERS_MAX:
        errors.append(too_long("fieldManager", MANAGER_CHARACTERS_MAX))
    errors += _unprintable(manager)
    dry_run, wrong = _read_dry_run(query.get("dryRun", ()))
    errors += wrong
    validation = _first(query, "fieldValidation")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        errors.append(unsupported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    if errors:
        raise options_invalid(kind, errors)
    return WriteOptions(dry_run, cast(FieldValidation, validation or "Warn"), manager, force)


def _unprintable(manager: str) -> list[FieldError]:
    """Tell each character of a field manager's name that can't be printed, by its place in bytes."""
    if manager.isprintable():
        return []
    errors: list[FieldError] = []
    at = 0
    for character in manager:
        if not character.isprintable():
            why = f"invalid character U+{ord(character):04X} (at position {at})"
            errors.append(invalid("fieldManager", manager, why))
        at += len(character.encode())
    return errors


def read_list_options(query: Query, *, is_watch: bool) -> ListOptions:
    """Read the options of a list or watch; ApiError 400 or 422 if they are wrong."""
    if not query:
        return ListOptions()
    options = ListOptions(
        label_selector=_first(query, "labelSelector"),
        field_selector=_first(query, "fieldSelector"),
        limit=max(0, _integer(query, "limit") or 0),
        continue_token=_first(query, "continue"),
        resource_version=_first(query, "resourceVersion"),
        resource_version_match=_first(query, "resourceVersionMatch"),
        timeout_seconds=_integer(query, "timeoutSeconds"),
        allow_bookmarks=is_true(query.get("allowWatchBookmarks")),
        send_initial_events=is_true(query["sendInitialEvents"]) if "sendInitialEvents" in query else None,
    )
    errors = _check_watch(options) if is_watch else _check_list(options)
    if errors:
        raise options_invalid("ListOptions", errors)
    return options


def _check_list(options: ListOptions) -> list[FieldError]:
    errors: list[FieldError] = []
    match, path = options.resource_version_match, "resourceVersionMatch"
    if match:
        if not options.resource_version:
            errors.append(forbidden(path, f"{path} is forbidden unless resourceVersion is provided"))
        if options.continue_token:
            errors.append(forbidden(path, f"{path} is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            errors.append(unsupported(path, match, ("Exact", "NotOlderThan", "")))
        if match == "Exact" and options.resource_version == "0":
            errors.append(forbidden(path, f'{path} "exact" is forbidden for resourceVersion "0"'))
    if options.send_initial_events is not None:
        errors.append(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return errors


def _check_watch(options: ListOptions) -> list[FieldError]:
    errors: list[FieldError] = []
    match, sends, path = options.resource_version_match, options.send_initial_events, "resourceVersionMatch"
    if sends is None and not match and options.resource_version in ("", "0"):
        match, sends = "NotOlderThan", True  # what such a watch means to the reference
    if sends is not None and match != "NotOlderThan":
        errors.append(forbidden(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if match:
        if sends is None:
            errors.append(forbidden(path, f"{path} is forbidden for watch unless sendInitialEvents is provided"))
        if match != "NotOlderThan":
            errors.append(unsupported(path, match, ("NotOlderThan",)))
        if options.continue_token:
            errors.append(forbidden(path, f"{path} is forbidden when continue is provided"))
    return errors


DELETE_OPTIONS_BYTES_MAX = 64 << 10  # they are a few fields, and read at once


_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_OTHER_OPTIONS = ("CreateOptions", "UpdateOptions")
_OF_META = (
    "GetOptions", "ListOptions", "PatchOptions", "PartialObjectMetadata", "PartialObjectMetadataList", "Table",
    "TableOptions", "WatchEvent",
)  # fmt: skip
_CANNOT_CONVERT = "decoded object cannot be converted to DeleteOptions"


def read_delete_options(query: Query, body: bytes, content_type: str = "") -> DeleteOptions:
    """Read the options of a deletion: from the body (JSON, YAML or protobuf) if there is one, else from the query."""
    if body:
        sent = _decode_body(body, media_type_of(content_type))
    elif query:
        sent = {
            "gracePeriodSeconds": _grace_period(query),
            "orphanDependents": is_true(query["orphanDependents"]) if "orphanDependents" in query else None,
            "propagationPolicy": _first(query, "propagationPolicy") if "propagationPolicy" in query else None,
            "dryRun": list(query.get("dryRun", ())),
            # as the reference reads a query: its words are those of the structure inside
            "preconditions": {name: query[name][0] for name in ("uid", "resourceVersion") if name in query},
        }
    else:
        return DeleteOptions()
    errors: list[FieldError] = []
    policy, orphans = sent.get("propagationPolicy"), sent.get("orphanDependents")
    if policy is not None and orphans is not None:
        errors.append(
            invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set")
        )
    if policy is not None and policy not in _POLICIES[:3]:
        errors.append(unsupported("propagationPolicy", policy, _POLICIES))
    dry_run, wrong = _read_dry_run(sent.get("dryRun") or ())
    errors += wrong
    if errors:
        raise options_invalid("DeleteOptions", errors)
    if orphans is not None:
        policy = "Orphan" if orphans else "Background"
    preconditions = sent.get("preconditions") or {}
    grace = sent.get("gracePeriodSeconds")
    return DeleteOptions(
        dry_run=dry_run,
        grace_period_seconds=1 if grace is not None and grace < 0 else grace,  # DE-6: a negative one counts as 1
        propagation_policy=policy,
        uid=preconditions.get("uid"),
        resource_version=preconditions.get("resourceVersion"),
    )


def _decode_body(body: bytes, media_type: str) -> Json:
    if len(body) > DELETE_OPTIONS_BYTES_MAX:
        raise entity_too_large(f"Request entity too large: limit is {DELETE_OPTIONS_BYTES_MAX} for DeleteOptions")
    try:
        if media_type == PROTOBUF:
            value = protobuf.decode(body, "DeleteOptions", "v1")[1]
        elif media_type == YAML:
            from pvbinder.server.objects.schema.yaml_text import (  # late: nearly nobody sends YAML
                OPTIONS_LIMITS,
                parse_yaml,
            )

            value = parse_yaml(body, OPTIONS_LIMITS).value
        else:
            value = json_text.parse(body)
    except PvbinderError as error:
        what = "" if media_type == PROTOBUF else "couldn't get version/kind; json parse error: "
        raise bad_request(f"{what}{error.message}") from error
    _check_options_kind(value)
    try:
        return Conversion().object({} if value is None else value, _DELETE_OPTIONS)
    except ConversionError as error:
        raise bad_request(error.message) from error


def _check_options_kind(value: object) -> None:
    """Refuse a body of another kind; options of a deletion may be of any group."""
    if value is None:
        return
    if not isinstance(value, dict | json_text.Members):
        why = f"json: cannot unmarshal {json_text.kind_of(value)} into Go value of type {json_text.TYPE_STRUCT}"
        raise bad_request(f"couldn't get version/kind; json parse error: {why}")
    header = dict(value)
    kind, version = header.get("kind") or "DeleteOptions", header.get("apiVersion") or "meta.k8s.io/v1"
    if kind == "DeleteOptions":
        return
    if kind in _OTHER_OPTIONS or (kind in _OF_META and version in ("meta.k8s.io/v1", "meta.k8s.io/v1beta1")):
        raise bad_request(_CANNOT_CONVERT)
    where = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
    raise bad_request(f'no kind "{kind}" is registered for version "{version}" in scheme "{where}"')


def options_invalid(kind: str, errors: Sequence[FieldError]) -> ApiError:
    """422 of wrong options."""
    return is_invalid(Resource("meta.k8s.io", "v1", kind, "", False), "", errors)


def parse_revision(text: str) -> int:
    """Return the number in `text`, "" being 0; ValueError in the reference's words if it is none (GW-12)."""
    if not text:
        return 0
    return parse_uint64(text)


def is_revision(text: str) -> bool:
    """Tell whether `text` is a number that a revision may have; as in the reference, what isn't a number is none."""
    try:
        return parse_revision(text) != 0
    except ValueError:
        return False


def internal_error(message: str) -> ApiError:
    """500 as the reference gives it where it did not expect an error: without a reason."""
    return ApiError(500, "", message)


def _read_dry_run(values: Sequence[str]) -> tuple[bool, list[FieldError]]:
    if any(value != "All" for value in values):
        return False, [unsupported("dryRun", cast(Any, list(values)), ("All",))]
    return bool(values), []


def _first(query: Query, name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def _grace_period(query: Query) -> int | None:
    """Read the one number of which the reference doesn't take an empty text for none."""
    if query.get("gracePeriodSeconds", ("0",))[0] == "":
        raise bad_request('strconv.ParseInt: parsing "": invalid syntax')
    return _integer(query, "gracePeriodSeconds")


def _integer(query: Query, name: str) -> int | None:
    text = _first(query, name)
    if not text:
        return None
    try:
        return parse_int64(text)
    except ValueError as error:
        raise bad_request(str(error)) from None
