"""The options of requests, read from query and body, and every refusal of them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs

import pytest

from pvbinder.server.api.rest.options import (
    DELETE_OPTIONS_BYTES_MAX,
    DeleteOptions,
    ListOptions,
    OptionsKind,
    WriteOptions,
    internal_error,
    parse_revision,
    read_delete_options,
    read_list_options,
    read_write_options,
)
from pvbinder.server.errors import ApiError

Query = dict[str, list[str]]


def query(text: str) -> Query:
    return parse_qs(text, keep_blank_values=True)


def said(read: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ApiError) as refused:
        read()
    return refused.value.code, refused.value.message


WRITES: dict[str, tuple[OptionsKind, str, bool, WriteOptions]] = {
    "nothing": ("CreateOptions", "", False, WriteOptions(False, "Warn", "", None)),
    "everything": (
        "CreateOptions",
        "dryRun=All&fieldValidation=Strict&fieldManager=me",
        False,
        WriteOptions(True, "Strict", "me", None),
    ),
    "the first counts": ("UpdateOptions", "fieldManager=a&fieldManager=b", False, WriteOptions(field_manager="a")),
    "empty is nothing": (
        "UpdateOptions",
        "fieldManager=&fieldValidation=&pretty=1",
        False,
        WriteOptions(False, "Warn", "", None),
    ),
    "passed over": ("UpdateOptions", "fieldValidation=Ignore", False, WriteOptions(field_validation="Ignore")),
    "forced": ("PatchOptions", "fieldManager=me&force=true", True, WriteOptions(field_manager="me", force=True)),
    "not forced": ("PatchOptions", "fieldManager=me&force=0", True, WriteOptions(field_manager="me", force=False)),
    "all of two dry runs": ("PatchOptions", "dryRun=All&dryRun=All", False, WriteOptions(dry_run=True)),
    "the longest manager": (
        "CreateOptions",
        "fieldManager=" + "m" * 128,
        False,
        WriteOptions(field_manager="m" * 128),
    ),
    "forced, but no patch": ("CreateOptions", "force=1", False, WriteOptions(force=True)),
}


@pytest.mark.parametrize(("kind", "text", "is_apply", "options"), WRITES.values(), ids=WRITES.keys())
def test_the_options_of_a_write(kind: OptionsKind, text: str, is_apply: bool, options: WriteOptions) -> None:
    assert read_write_options(kind, query(text), is_apply=is_apply) == options


WRONG_WRITES: dict[str, tuple[OptionsKind, str, bool, str]] = {
    "apply without a manager": ("PatchOptions", "", True, "fieldManager: Required value: is required for apply patch"),
    "a patch that is forced": (
        "PatchOptions",
        "force=0",
        False,
        "force: Forbidden: may not be specified for non-apply patch",
    ),
    "a manager too long": (
        "CreateOptions",
        "fieldManager=" + "m" * 129,
        False,
        "fieldManager: Too long: may not be more than 128 bytes",
    ),
    "in bytes": (
        "CreateOptions",
        "fieldManager=" + "%C3%A4" * 65,
        False,
        "fieldManager: Too long: may not be more than 128 bytes",
    ),
    "a manager that can't be printed": (
        "UpdateOptions",
        "fieldManager=%C3%A4%07b",
        False,
        'fieldManager: Invalid value: "ä\\ab": invalid character U+0007 (at position 2)',
    ),
    "two characters that can't be printed": (
        "CreateOptions",
        "fieldManager=%07%C3%A4b%07",
        False,
        (
            '[fieldManager: Invalid value: "\\aäb\\a": invalid character U+0007 (at position 0), '
            'fieldManager: Invalid value: "\\aäb\\a": invalid character U+0007 (at position 4)]'
        ),
    ),
    "another dry run": (
        "UpdateOptions",
        "dryRun=All&dryRun=Some",
        False,
        'dryRun: Unsupported value: ["All","Some"]: supported values: "All"',
    ),
    "another validation": (
        "UpdateOptions",
        "fieldValidation=strict",
        False,
        'fieldValidation: Unsupported value: "strict": supported values: "", "Ignore", "Strict", "Warn"',
    ),
}


@pytest.mark.parametrize(("kind", "text", "is_apply", "why"), WRONG_WRITES.values(), ids=WRONG_WRITES.keys())
def test_options_of_a_write_that_are_refused(kind: OptionsKind, text: str, is_apply: bool, why: str) -> None:
    code, message = said(lambda: read_write_options(kind, query(text), is_apply=is_apply))

    assert (code, message) == (422, f'{kind}.meta.k8s.io "" is invalid: {why}')


LISTS: dict[str, tuple[str, bool, ListOptions]] = {
    "nothing": ("", False, ListOptions("", "", 0, "", "", "", None, False, None)),
    "everything": (
        "labelSelector=a&fieldSelector=b&limit=5&continue=c&resourceVersion=7&timeoutSeconds=9&allowWatchBookmarks=1",
        False,
        ListOptions("a", "b", 5, "c", "7", "", 9, True, None),
    ),
    "a match": (
        "resourceVersion=7&resourceVersionMatch=Exact",
        False,
        ListOptions(resource_version="7", resource_version_match="Exact"),
    ),
    "not older than the beginning": (
        "resourceVersion=0&resourceVersionMatch=NotOlderThan",
        False,
        ListOptions(resource_version="0", resource_version_match="NotOlderThan"),
    ),
    "a negative limit is none": ("limit=-1", False, ListOptions()),
    "a watch": ("resourceVersion=7", True, ListOptions(resource_version="7")),
    "a watch from the beginning": ("resourceVersion=0", True, ListOptions(resource_version="0")),
    "a watch with all at first": (
        "sendInitialEvents=1&resourceVersionMatch=NotOlderThan",
        True,
        ListOptions(resource_version_match="NotOlderThan", send_initial_events=True),
    ),
    "a watch without": (
        "sendInitialEvents=false&resourceVersionMatch=NotOlderThan",
        True,
        ListOptions(resource_version_match="NotOlderThan", send_initial_events=False),
    ),
    "a watch goes on with a token": (
        "continue=c&resourceVersion=7",
        True,
        ListOptions(continue_token="c", resource_version="7"),
    ),
}


@pytest.mark.parametrize(("text", "is_watch", "options"), LISTS.values(), ids=LISTS.keys())
def test_the_options_of_a_list(text: str, is_watch: bool, options: ListOptions) -> None:
    assert read_list_options(query(text), is_watch=is_watch) == options


MATCH = "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden"
NEEDS = "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
WRONG_LISTS: dict[str, tuple[str, bool, list[str]]] = {
    "a match without a revision": (
        "resourceVersionMatch=Exact",
        False,
        [f"{MATCH} unless resourceVersion is provided"],
    ),
    "a match with a token": (
        "resourceVersionMatch=Exact&resourceVersion=7&continue=c",
        False,
        [f"{MATCH} when continue is provided"],
    ),
    "another match": (
        "resourceVersionMatch=exact&resourceVersion=7",
        False,
        ['resourceVersionMatch: Unsupported value: "exact": supported values: "Exact", "NotOlderThan", ""'],
    ),
    "exactly the beginning": (
        "resourceVersionMatch=Exact&resourceVersion=0",
        False,
        ['resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"'],
    ),
    "a list with all at first": (
        "sendInitialEvents=0",
        False,
        ["sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"],
    ),
    "all at first, without a match": ("sendInitialEvents=0", True, [NEEDS]),
    "all at first, with another match": (
        "sendInitialEvents=1&resourceVersionMatch=Exact",
        True,
        [NEEDS, 'resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"'],
    ),
    "a match, without all at first": (
        "resourceVersion=7&resourceVersionMatch=NotOlderThan",
        True,
        [f"{MATCH} for watch unless sendInitialEvents is provided"],
    ),
    "a watch from the beginning goes on with no token": (
        "resourceVersion=0&continue=c",
        True,
        [f"{MATCH} when continue is provided"],
    ),
}


@pytest.mark.parametrize(("text", "is_watch", "why"), WRONG_LISTS.values(), ids=WRONG_LISTS.keys())
def test_options_of_a_list_that_are_refused(text: str, is_watch: bool, why: list[str]) -> None:
    code, message = said(lambda: read_list_options(query(text), is_watch=is_watch))
    shown = why[0] if len(why) == 1 else f"[{', '.join(why)}]"

    assert (code, message) == (422, f'ListOptions.meta.k8s.io "" is invalid: {shown}')


@pytest.mark.parametrize("name", ["limit", "timeoutSeconds"])
def test_a_number_that_is_none_is_a_bad_request(name: str) -> None:
    assert said(lambda: read_list_options(query(f"{name}=x"), is_watch=False)) == (
        400,
        'strconv.ParseInt: parsing "x": invalid syntax',
    )


PRE = b'{"preconditions":{"uid":"u","resourceVersion":"7"}}'
DELETIONS: dict[str, tuple[str, bytes, str, DeleteOptions]] = {
    "nothing": ("", b"", "", DeleteOptions(False, None, None, None, None)),
    "the query": (
        "gracePeriodSeconds=5&propagationPolicy=Orphan&dryRun=All",
        b"",
        "",
        DeleteOptions(True, 5, "Orphan"),
    ),
    "orphans": ("orphanDependents=true", b"", "", DeleteOptions(propagation_policy="Orphan")),
    "no orphans": ("orphanDependents=false", b"", "", DeleteOptions(propagation_policy="Background")),
    "something else": ("pretty=1", b"", "", DeleteOptions()),
    "the body comes first": ("gracePeriodSeconds=5", b'{"gracePeriodSeconds":6}', "", DeleteOptions(False, 6)),
    "nothing in the body": ("", b"null", "", DeleteOptions()),
    "preconditions": ("", PRE, "", DeleteOptions(uid="u", resource_version="7")),
    "at once": ("", b'{"gracePeriodSeconds":0}', "", DeleteOptions(grace_period_seconds=0)),
    "in no time at all": ("", b'{"gracePeriodSeconds":-5}', "", DeleteOptions(grace_period_seconds=1)),
    "in YAML": (
        "",
        b"propagationPolicy: Foreground",
        "application/yaml",
        DeleteOptions(propagation_policy="Foreground"),
    ),
    "of any group": ("", b'{"kind":"DeleteOptions","apiVersion":"x/v9"}', "", DeleteOptions()),
}


@pytest.mark.parametrize(("text", "body", "content_type", "options"), DELETIONS.values(), ids=DELETIONS.keys())
def test_the_options_of_a_deletion(text: str, body: bytes, content_type: str, options: DeleteOptions) -> None:
    assert read_delete_options(query(text), body, content_type) == options


INVALID = 'DeleteOptions.meta.k8s.io "" is invalid: '
POLICIES = 'supported values: "Foreground", "Background", "Orphan", "nil"'
CONVERT = "decoded object cannot be converted to DeleteOptions"
WHERE = "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27"
WRONG_DELETIONS: dict[str, tuple[str, bytes, int, str]] = {
    "both ways of orphaning": (
        "",
        b'{"propagationPolicy":"Orphan","orphanDependents":false}',
        422,
        (
            f'{INVALID}propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be '
            "both set"
        ),
    ),
    "another policy": (
        "propagationPolicy=orphan",
        b"",
        422,
        f'{INVALID}propagationPolicy: Unsupported value: "orphan": {POLICIES}',
    ),
    "nil, which only messages name": (
        "propagationPolicy=nil",
        b"",
        422,
        f'{INVALID}propagationPolicy: Unsupported value: "nil": {POLICIES}',
    ),
    "an empty policy": (
        "propagationPolicy=",
        b"",
        422,
        f'{INVALID}propagationPolicy: Unsupported value: "": {POLICIES}',
    ),
    "both ways of orphaning, in the query": (
        "propagationPolicy=x&orphanDependents=true",
        b"",
        422,
        (
            f'{INVALID}[propagationPolicy: Invalid value: "x": orphanDependents and deletionPropagation cannot be '
            f'both set, propagationPolicy: Unsupported value: "x": {POLICIES}]'
        ),
    ),
    "no end": ("", b"{", 400, "couldn't get version/kind; json parse error: unexpected end of JSON input"),
    "no number": (
        "",
        b'{"gracePeriodSeconds":"x"}',
        400,
        "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
    ),
    "another dry run": (
        "",
        b'{"dryRun":["Some"]}',
        422,
        f'{INVALID}dryRun: Unsupported value: ["Some"]: supported values: "All"',
    ),
    "a grace that is no number": (
        "gracePeriodSeconds=x",
        b"",
        400,
        'strconv.ParseInt: parsing "x": invalid syntax',
    ),
    "other options": ("", b'{"kind":"CreateOptions","apiVersion":"x/v9"}', 400, CONVERT),
    "of the same group": ("", b'{"kind":"Table"}', 400, CONVERT),
    "of its older version": ("", b'{"kind":"Table","apiVersion":"meta.k8s.io/v1beta1"}', 400, CONVERT),
    "another kind": (
        "",
        b'{"kind":"Pod"}',
        400,
        f'no kind "Pod" is registered for version "meta.k8s.io/v1" in scheme "{WHERE}"',
    ),
    "another version": (
        "",
        b'{"kind":"Table","apiVersion":"v1"}',
        400,
        f'no kind "Table" is registered for version "v1" in scheme "{WHERE}"',
    ),
    "no object": (
        "",
        b"[]",
        400,
        (
            "couldn't get version/kind; json parse error: json: cannot unmarshal array into Go value of type "
            'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string '
            '"json:\\"kind,omitempty\\"" }'
        ),
    ),
    "too large": (
        "",
        b'"' + b"x" * DELETE_OPTIONS_BYTES_MAX,
        413,
        "Request entity too large: limit is 65536 for DeleteOptions",
    ),
}


@pytest.mark.parametrize(("text", "body", "code", "message"), WRONG_DELETIONS.values(), ids=WRONG_DELETIONS.keys())
def test_options_of_a_deletion_that_are_refused(text: str, body: bytes, code: int, message: str) -> None:
    assert said(lambda: read_delete_options(query(text), body)) == (code, message)


@pytest.mark.parametrize(
    "kind",
    [
        "GetOptions",
        "ListOptions",
        "PatchOptions",
        "PartialObjectMetadata",
        "PartialObjectMetadataList",
        "TableOptions",
        "WatchEvent",
        "UpdateOptions",
    ],
)
def test_no_other_kind_of_the_group_is_options_of_a_deletion(kind: str) -> None:
    assert said(lambda: read_delete_options({}, b'{"kind":"%s"}' % kind.encode())) == (400, CONVERT)


def test_the_largest_options_are_read() -> None:
    body = b'{"gracePeriodSeconds":5}'.ljust(DELETE_OPTIONS_BYTES_MAX)

    assert read_delete_options({}, body).grace_period_seconds == 5


def test_a_revision_is_a_number() -> None:
    assert (parse_revision(""), parse_revision("0"), parse_revision("7")) == (0, 0, 7)
    with pytest.raises(ValueError, match="invalid syntax"):
        parse_revision("-1")


def test_an_error_that_nobody_expects_has_no_reason() -> None:
    error = internal_error("why")

    assert (error.code, error.reason, error.message) == (500, "", "why")


def test_options_in_yaml_have_a_bound_of_their_own() -> None:
    many = b"a: [" + b"1," * 10_000 + b"]"
    assert said(lambda: read_delete_options({}, many, "application/yaml")) == (
        400,
        "couldn't get version/kind; json parse error: yaml: document has too many values",
    )
    assert read_delete_options({}, b"gracePeriodSeconds: 5\n# " + b"x" * 5000, "application/yaml") == DeleteOptions(
        grace_period_seconds=5
    )
