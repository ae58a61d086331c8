"""The connections into a pod's containers: attach, exec, log, port-forward and proxy.

CONNECTIONS-1  This server runs no containers: who wants to talk to one is told so (503).
CONNECTIONS-2  The log of a container that there is is empty, not an error: programs that collect logs go on.
CONNECTIONS-3  Which container a log is of is checked as in the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pvbinder.model.resources import Resource
from pvbinder.server.errors import ApiError, FieldError, bad_request, invalid, is_invalid
from pvbinder.server.objects.go_text import parse_int64
from pvbinder.server.objects.kind import Json, Subresource

LOG_OPTIONS: Final = Resource("", "v1", "PodLogOptions", "pods", True)
_AT_LEAST: Final = {"tailLines": 0, "sinceSeconds": 1, "limitBytes": 1}

Query = Mapping[str, list[str]]


def refuse_to_reach(pod: Json, _query: Query) -> str:
    """Say that there is nothing to talk to (CONNECTIONS-1)."""
    name = pod["metadata"]["name"]
    raise ApiError(503, "ServiceUnavailable", f"pod {name} can't be reached: this server runs no containers")


def read_log(pod: Json, query: Query) -> str:
    """Return the log of a container, which has nothing to say (CONNECTIONS-2, CONNECTIONS-3)."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    errors = _check_options(query)
    if errors:
        raise is_invalid(LOG_OPTIONS, name, errors)
    containers, first, late = (
        [one["name"] for one in spec.get(field) or ()]
        for field in ("containers", "initContainers", "ephemeralContainers")
    )
    wanted = query.get("container", [""])[0]
    if wanted:
        if wanted not in (*containers, *first, *late):
            raise bad_request(f"container {wanted} is not valid for pod {name}")
    elif len(containers) > 1:
        why = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
        if first:
            why += f" or one of the init containers: [{' '.join(first)}]"
        if late:
            why += f" or one of the ephemeral containers: [{' '.join(late)}]"
        raise bad_request(why)
    return ""


def _check_options(query: Query) -> list[FieldError]:
    errors = []
    for field, least in _AT_LEAST.items():
        text = query.get(field, [""])[0]
        if text:
            try:
                value = parse_int64(text)
            except ValueError as error:
                raise bad_request(str(error)) from None
            if value < least:
                errors.append(invalid(field, value, f"must be greater than or equal to {least}"))
    return errors


OF_CONTAINERS: Final = tuple(
    Subresource(
        name,
        verbs=verbs,
        body=Resource("", "v1", kind, "pods", True),
        reach=read_log if name == "log" else refuse_to_reach,
        has_path=name == "proxy",
    )
    for name, kind, verbs in (
        ("attach", "PodAttachOptions", ("create", "get")),
        ("exec", "PodExecOptions", ("create", "get")),
        ("log", "Pod", ("get",)),
        ("portforward", "PodPortForwardOptions", ("create", "get")),
        ("proxy", "PodProxyOptions", ("create", "delete", "get", "patch", "update")),
    )
)
