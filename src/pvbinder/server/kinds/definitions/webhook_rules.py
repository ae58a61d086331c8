"""The rules of a definition's conversion: by nobody, or by a webhook that must be well described."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import check_dns_label_1035, check_dns_subdomain
from pvbinder.server.objects.kind import Json

_PATH: Final = "spec.conversion"
_REVIEWS: Final = ("v1", "v1beta1")
_FORM: Final = "; desired format: https://host[/path]"
_ONLY_WEBHOOK: Final = "should not be set when strategy is not set to Webhook"


def check_conversion(conversion: Json, *, preserved: bool, any_bundle: bool) -> Iterator[FieldError]:
    """Check how objects are converted; `preserved`: unknown fields are kept, `any_bundle`: any certificates do."""
    strategy, webhook = conversion.get("strategy") or "", conversion.get("webhook") or {}
    client, reviews = webhook.get("clientConfig"), webhook.get("conversionReviewVersions") or []
    if strategy != "None" and preserved:
        yield invalid(f"{_PATH}.strategy", strategy, "must be None if spec.preserveUnknownFields is true")
    if not strategy:
        yield required(f"{_PATH}.strategy")
    elif strategy not in ("None", "Webhook"):
        yield unsupported(f"{_PATH}.strategy", strategy, ("None", "Webhook"))
    if strategy == "Webhook":
        yield from _check_client(client, any_bundle=any_bundle)
        yield from _check_reviews(reviews)
        return
    if client is not None:
        yield forbidden(f"{_PATH}.webhookClientConfig", _ONLY_WEBHOOK)
    if reviews:
        yield forbidden(f"{_PATH}.conversionReviewVersions", _ONLY_WEBHOOK)


def is_bundle(bundle: Any) -> bool:
    """Whether a text in base64 holds certificates; none at all is one."""
    if not bundle:
        return True
    try:
        text = base64.b64decode(bundle).decode()
        ssl.create_default_context(cadata=text)
    except (binascii.Error, UnicodeDecodeError, ssl.SSLError, ValueError):
        return False
    return True


def _check_client(client: Any, *, any_bundle: bool) -> Iterator[FieldError]:
    path = f"{_PATH}.webhookClientConfig"
    if client is None:
        yield required(path, "required when strategy is set to Webhook")
        return
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        yield required(path, "exactly one of url or service is required")
    elif url is not None:
        yield from _check_url(url, f"{path}.url")
    else:
        yield from _check_service(service, f"{path}.service")
    if not any_bundle and not is_bundle(client.get("caBundle")):
        why = "unable to load root certificates: unable to parse bytes as PEM block"
        yield invalid(f"{path}.caBundle", client.get("caBundle"), why)


def _check_url(url: str, path: str) -> Iterator[FieldError]:
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


def _check_service(service: Json, path: str) -> Iterator[FieldError]:
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


def _check_reviews(reviews: list[str]) -> Iterator[FieldError]:
    path = f"{_PATH}.conversionReviewVersions"
    if not reviews:
        yield required(path)
        return
    seen: set[str] = set()
    for index, version in enumerate(reviews):
        if version in seen:
            yield invalid(f"{path}[{index}]", version, "duplicate version")
            continue
        seen.add(version)
        for why in check_dns_label_1035(version):
            yield invalid(f"{path}[{index}]", version, why)
    if not seen & set(_REVIEWS):
        yield invalid(path, reviews, f"must include at least one of {', '.join(_REVIEWS)}")
