"""The query parameters of a request, and the options of a deletion, checked as the reference checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, cast

import msgspec

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

Query = Mapping[str, list[str]]
FieldValidation = Literal["Strict", "Warn", "Ignore"]
OptionsKind = Literal["CreateOptions", "UpdateOptions", "PatchOptions"]

MANAGER_CHARACTERS_MAX = 128
PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = "application/yaml"
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
    """What a list or watch is to show."""

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
    if not manager.isprintable():
        errors.append(invalid("fieldManager", manager, "should only contain printable characters"))
    dry_run, wrong = _read_dry_run(query.get("dryRun", ()))
    errors += wrong
    validation = _first(query, "fieldValidation")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        errors.append(unsupported("fieldValidation", validation, ("", "Ignore", "Strict", "Warn")))
    if errors:
        raise options_invalid(kind, errors)
    return WriteOptions(dry_run, cast(FieldValidation, validation or "Warn"), manager, force)


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
    match, path = options.resource_version_match, "resourceVersionMatch"
    if match:
        if options.send_initial_events is None:
            errors.append(forbidden(path, f"{path} is forbidden for watch unless sendInitialEvents is provided"))
        if match != "NotOlderThan":
            errors.append(unsupported(path, match, ("NotOlderThan",)))
    elif options.send_initial_events:
        errors.append(forbidden(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    return errors


DELETE_OPTIONS_BYTES_MAX = 64 << 10  # they are a few fields, and read at once


class _Preconditions(msgspec.Struct, rename="camel"):
    uid: str | None = None
    resource_version: str | None = None


class _DeleteOptionsBody(msgspec.Struct, rename="camel"):
    kind: str = ""
    api_version: str = ""
    grace_period_seconds: Annotated[int, msgspec.Meta(ge=-(2**63), le=_INT64_MAX)] | None = None
    preconditions: _Preconditions | None = None
    orphan_dependents: bool | None = None
    propagation_policy: str | None = None
    dry_run: list[str] | None = None


_decode_json = msgspec.json.Decoder(_DeleteOptionsBody).decode


def read_delete_options(query: Query, body: bytes, content_type: str = "") -> DeleteOptions:
    """Read the options of a deletion: from the body (JSON, YAML or protobuf) if there is one, else from the query."""
    if body:
        sent = _decode_body(body, content_type.partition(";")[0].strip().lower())
        if sent.kind not in ("", "DeleteOptions"):
            raise bad_request(f"decoded object cannot be converted to DeleteOptions: it is a {sent.kind}")
    else:
        if not query:
            return DeleteOptions()
        sent = _DeleteOptionsBody(
            grace_period_seconds=_integer(query, "gracePeriodSeconds"),
            orphan_dependents=is_true(query["orphanDependents"]) if "orphanDependents" in query else None,
            propagation_policy=_first(query, "propagationPolicy") or None,
            dry_run=list(query.get("dryRun", ())),
        )
    errors: list[FieldError] = []
    policy = sent.propagation_policy
    if policy is not None and sent.orphan_dependents is not None:
        errors.append(
            invalid("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set")
        )
    elif policy is not None and policy not in _POLICIES[:3]:
        errors.append(unsupported("propagationPolicy", policy, _POLICIES))
    dry_run, wrong = _read_dry_run(sent.dry_run or ())
    errors += wrong
    if errors:
        raise options_invalid("DeleteOptions", errors)
    if sent.orphan_dependents is not None:
        policy = "Orphan" if sent.orphan_dependents else "Background"
    preconditions = sent.preconditions or _Preconditions()
    grace = sent.grace_period_seconds
    return DeleteOptions(
        dry_run=dry_run,
        grace_period_seconds=1 if grace is not None and grace < 0 else grace,  # DE-6: a negative one counts as 1
        propagation_policy=policy,
        uid=preconditions.uid,
        resource_version=preconditions.resource_version,
    )


def _decode_body(body: bytes, media_type: str) -> _DeleteOptionsBody:
    if len(body) > DELETE_OPTIONS_BYTES_MAX:
        raise entity_too_large(f"Request entity too large: limit is {DELETE_OPTIONS_BYTES_MAX} for DeleteOptions")
    try:
        if media_type == PROTOBUF:
            return msgspec.convert(protobuf.decode(body, "DeleteOptions", "v1")[1] or {}, _DeleteOptionsBody)
        if media_type == YAML:
            from pvbinder.server.objects.schema.yaml_text import (  # late: nearly nobody sends YAML
                OPTIONS_LIMITS,
                parse_yaml,
            )

            return msgspec.convert(parse_yaml(body, OPTIONS_LIMITS).value, _DeleteOptionsBody)
        return _decode_json(body)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error
    except PvbinderError as error:
        raise bad_request(f"couldn't get version/kind: {error.message}") from error


def options_invalid(kind: str, errors: Sequence[FieldError]) -> ApiError:
    """422 of wrong options."""
    return is_invalid(Resource("meta.k8s.io", "v1", kind, "", False), "", errors)


def parse_revision(text: str) -> int:
    """Return the number in `text`, "" being 0; ValueError in the reference's words if it is none (GW-12)."""
    if not text:
        return 0
    return parse_uint64(text)


def internal_error(message: str) -> ApiError:
    """500 as the reference gives it where it did not expect an error: without a reason."""
    return ApiError(500, "", message)


def _read_dry_run(values: Sequence[str]) -> tuple[bool, list[FieldError]]:
    given = [value for value in values if value]
    if any(value != "All" for value in given):
        return False, [unsupported("dryRun", cast(Any, given), ("All",))]
    return bool(given), []


def _first(query: Query, name: str) -> str:
    values = query.get(name)
    return values[0] if values else ""


def _integer(query: Query, name: str) -> int | None:
    text = _first(query, name)
    if not text:
        return None
    try:
        return parse_int64(text)
    except ValueError as error:
        raise bad_request(str(error)) from None
