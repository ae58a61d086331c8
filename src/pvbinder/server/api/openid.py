"""What others need to verify tokens of service accounts by themselves: the issuer's document and its public keys.

OPENID-1  Whoever has these two documents can verify a token that this server signs, and no secret is in them.
OPENID-2  They say nothing that a request said: what is kept for an hour (``Cache-Control``) can't be led elsewhere.

Who may read them is a matter of roles, as in the reference: service accounts by
``system:service-account-issuer-discovery``, others if somebody binds it to them. The secret of older versions isn't
published, so their tokens are verified by this server only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from pvbinder.server.api.negotiation import JSON_TYPE, check_route
from pvbinder.server.identity.service_account_tokens import ISSUER
from pvbinder.server.identity.token_keys import ALGORITHM, TokenKeys
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import ApiRequest, ApiResponse

CONFIGURATION_PATH: Final = "/.well-known/openid-configuration"
KEYS_PATH: Final = "/openid/v1/jwks"
KEYS_TYPE: Final = "application/jwk-set+json"
KEPT = "public, max-age=3600"


class OpenId:
    """Answers the two paths; `address` gives the URL that the server can be reached at."""

    def __init__(self, keys: TokenKeys, address: Callable[[], str]) -> None:
        self._keys = keys
        self._address = address

    def answer(self, request: ApiRequest) -> ApiResponse | None:
        """Answer a GET of one of the paths; None if the path is none (OPENID-1, OPENID-2)."""
        path = request.path.removesuffix("/")
        if path == CONFIGURATION_PATH:
            return _answered(request, JSON_TYPE, self._configuration)
        if path == KEYS_PATH:
            return _answered(request, KEYS_TYPE, lambda: {"keys": [self._keys.signing().public]})
        return None

    def _configuration(self) -> Json:
        return {
            "issuer": ISSUER,
            "jwks_uri": self._address() + KEYS_PATH,
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        }


def _answered(request: ApiRequest, media_type: str, document: Callable[[], Json]) -> ApiResponse:
    accept = request.headers.get("accept", "")
    if accept:
        check_route(accept, (media_type,))
    headers = {"Content-Type": media_type, "Cache-Control": KEPT}
    return ApiResponse(200, msgspec.json.encode(document()), headers)
