"""The attributes of a request, read off its method and path alone: the verb and the thing it is about.

Authorisation and routing both work from this, so that the allowed request is the one that is carried out.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from pvbinder.server.kinds.parts.fields import selected_name

_VERBS = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_NAMESPACE_SUBRESOURCES = ("status", "finalize")


class Attributes(Struct):
    """The verb and its object; for anything but a resource only `verb` and `path` are set."""

    verb: str
    path: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    rest: tuple[str, ...] = ()  # the rest of the path after the subresource
    # The one object that the field selector of a list or watch is about. No other verb has one: what is allowed for a
    # name must not be done to all.
    selected_name: str = ""

    @property
    def about_name(self) -> str:
        """The name of the one object that this is about, by its path or by its selector; "" if it isn't about one."""
        return self.name or self.selected_name


def read_attributes(method: str, path: str, query: Mapping[str, list[str]]) -> Attributes:
    """Read what the request asks for, as the reference's authoriser would."""
    parts = [part for part in path.split("/") if part]
    if "/namespaces//" in path.rstrip("/"):  # with an empty name: in all of them
        parts.remove("namespaces")
    if len(parts) >= 3 and parts[0] == "api":
        attributes = Attributes("", path, True, "", parts[1])
        parts = parts[2:]
    elif len(parts) >= 4 and parts[0] == "apis":
        attributes = Attributes("", path, True, parts[1], parts[2])
        parts = parts[3:]
    else:
        return Attributes(method.lower(), path)
    verb = _VERBS.get(method, "")
    watched = parts[0] == "watch" and verb == "get" and len(parts) > 1
    if watched:
        parts = parts[1:]
    if parts[0] == "namespaces" and len(parts) > 1:
        attributes.namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _NAMESPACE_SUBRESOURCES:
            parts = parts[2:]
    attributes.resource = parts[0]
    if len(parts) > 1:
        attributes.name = parts[1]
    if len(parts) > 2:
        attributes.subresource = parts[2]
        attributes.rest = tuple(parts[3:])
    if watched:
        verb = "watch"
    elif not attributes.name:
        if verb == "get":
            verb = "watch" if is_true(query.get("watch")) else "list"
            if "fieldSelector" in query:
                attributes.selected_name = selected_name(query["fieldSelector"][0])
        elif verb == "delete":
            verb = "deletecollection"
    attributes.verb = verb
    return attributes


def is_true(values: list[str] | None) -> bool:
    """Read a boolean query parameter: anything but ``false`` and ``0`` is true, if it is there at all."""
    return values is not None and values[0].lower() not in ("false", "0")
