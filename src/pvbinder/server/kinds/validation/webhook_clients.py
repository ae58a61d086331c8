"""Where webhooks are called: an address of the web, or a service."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from pvbinder.server.errors import FieldError, invalid, required
from pvbinder.server.kinds.validation.names import check_dns_subdomain
from pvbinder.server.objects.kind import Json

_FORM: Final = "; desired format: https://host[/path]"


def check_webhook_url(url: str, path: str) -> Iterator[FieldError]:
    """Check the address of a webhook."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        yield required(path, f'url must be a valid URL: parse "{url}": {error}{_FORM}')
        return
    if parts.scheme != "https":
        yield invalid(path, parts.scheme, f"'https' is the only allowed URL scheme{_FORM}")
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        yield invalid(path, host, f"host must be specified{_FORM}")
    if at:
        yield invalid(path, user, "user information is not permitted in the URL")
    if parts.fragment:
        yield invalid(path, parts.fragment, "fragments are not permitted in the URL")
    if parts.query:
        yield invalid(path, parts.query, "query parameters are not permitted in the URL")


def check_webhook_service(service: Json, path: str) -> Iterator[FieldError]:
    """Check the service behind which a webhook is."""
    if not service.get("namespace"):  # the reference takes the one for the other here
        yield required(f"{path}.name")
    if not service.get("name"):
        yield required(f"{path}.namespace")
    port = service.get("port", 443)
    if not 1 <= port <= 65_535:
        yield invalid(f"{path}.port", port, "port is not valid: must be between 1 and 65535, inclusive")
    where = service.get("path")
    if where in (None, "", "/"):
        return
    if where == "//":
        yield invalid(f"{path}.path", where, "segment[0] may not be empty")
        return
    if not where.startswith("/"):
        yield invalid(f"{path}.path", where, "must start with a '/'")
    for index, step in enumerate(where[1:].removesuffix("/").split("/")):
        if not step:
            yield invalid(f"{path}.path", where, f"segment[{index}] may not be empty")
        for why in check_dns_subdomain(step) if step else ():
            yield invalid(f"{path}.path", where, f"segment[{index}]: {why}")
