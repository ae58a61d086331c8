"""The query parameters of the API, as OpenAPI tells them: type and description."""

from __future__ import annotations

from typing import Final, NamedTuple


class Parameter(NamedTuple):
    """A query parameter."""

    type: str
    description: str


PARAMETERS: Final[dict[str, Parameter]] = {
    "allowWatchBookmarks": Parameter(
        "boolean",
        'allowWatchBookmarks requests watch events with type "BOOKMARK". Servers that do not implement '
        "bookmarks may ignore this flag and bookmarks are sent at the server's discretion.",
    ),
    "continue": Parameter(
        "string",
        "The continue option should be set when retrieving more results from the server.",
    ),
    "dryRun": Parameter(
        "string",
        "When present, indicates that modifications should not be persisted. An invalid or unrecognized "
        "dryRun directive will result in an error response and no further processing of the request. "
        "Valid values are: - All: all dry run stages will be processed",
    ),
    "fieldManager": Parameter(
        "string",
        "fieldManager is a name associated with the actor or entity that is making these changes. The "
        "value must be less than or 128 characters long, and only contain printable characters, as "
        "defined by https://golang.org/pkg/unicode/#IsPrint.",
    ),
    "fieldSelector": Parameter(
        "string",
        "A selector to restrict the list of returned objects by their fields. Defaults to everything.",
    ),
    "fieldValidation": Parameter(
        "string",
        "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) "
        "containing unknown or duplicate fields. Valid values are: - Ignore: This will ignore any unknown "
        "fields that are silently dropped from the object, and will ignore all but the last duplicate "
        "field that the decoder encounters. This is the default behavior prior to v1.23. - Warn: This "
        "will send a warning via the standard warning response header for each unknown field that is "
        "dropped from the object, and for each duplicate field that is encountered. The request will "
        "still succeed if there are no other errors, and will only persist the last of any duplicate "
        "fields. This is the default in v1.23+ - Strict: This will fail the request with a BadRequest "
        "error if any unknown fields would be dropped from the object, or if any duplicate fields are "
        "present. The error returned from the server will contain all unknown and duplicate fields "
        "encountered.",
    ),
    "force": Parameter(
        "boolean",
        'Force is going to "force" Apply requests. It means user will re-acquire conflicting fields owned '
        "by other people. Force flag must be unset for non-apply patch requests.",
    ),
    "gracePeriodSeconds": Parameter(
        "integer",
        "The duration in seconds before the object should be deleted.",
    ),
    "labelSelector": Parameter(
        "string",
        "A selector to restrict the list of returned objects by their labels. Defaults to everything.",
    ),
    "limit": Parameter(
        "integer",
        "limit is a maximum number of responses to return for a list call.",
    ),
    "orphanDependents": Parameter(
        "boolean",
        "Deprecated: please use the PropagationPolicy.",
    ),
    "pretty": Parameter(
        "string",
        "If 'true', then the output is pretty printed.",
    ),
    "propagationPolicy": Parameter(
        "string",
        "Whether and how garbage collection will be performed.",
    ),
    "resourceVersion": Parameter(
        "string",
        "resourceVersion sets a constraint on what resource versions a request may be served from.",
    ),
    "resourceVersionMatch": Parameter(
        "string",
        "resourceVersionMatch determines how resourceVersion is applied to list calls.",
    ),
    "sendInitialEvents": Parameter(
        "boolean",
        "`sendInitialEvents=true` may be set together with `watch=true`.",
    ),
    "timeoutSeconds": Parameter(
        "integer",
        "Timeout for the list/watch call.",
    ),
    "watch": Parameter(
        "boolean",
        "Watch for changes to the described resources and return them as a stream of add, update, and "
        "remove notifications.",
    ),
}
