"""The rules of a definition's conversion: the strategy None, or a webhook with all that its calls need."""

from __future__ import annotations

import base64
import binascii
import ssl
from collections.abc import Iterator
from typing import Any, Final

from pvbinder.server.errors import FieldError, forbidden, invalid, required, unsupported
from pvbinder.server.kinds.validation.names import check_dns_label_1035
from pvbinder.server.kinds.validation.webhook_clients import check_webhook_service, check_webhook_url
from pvbinder.server.objects.kind import Json

_PATH: Final = "spec.conversion"
_REVIEWS: Final = ("v1", "v1beta1")
_ONLY_WEBHOOK: Final = "should not be set when strategy is not set to Webhook"


def check_conversion(conversion: Json, *, preserved: bool, any_bundle: bool) -> Iterator[FieldError]:
    """Check the conversion of objects; `preserved`: unknown fields are kept, `any_bundle`: any certificates do."""
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
    """Whether a text in base64 holds certificates; no text is valid, too."""
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
        yield from check_webhook_url(url, f"{path}.url")
    else:
        yield from check_webhook_service(service, f"{path}.service")
    if not any_bundle and not is_bundle(client.get("caBundle")):
        why = "unable to load root certificates: unable to parse bytes as PEM block"
        yield invalid(f"{path}.caBundle", client.get("caBundle"), why)


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
