"""What everybody may do without being given a role, as the reference's default roles have it.

Anybody may ask for health and version (``system:public-info-viewer``); who is known may read the documents of discovery
(``system:discovery``) and ask about themselves (``system:basic-user``).
"""

from __future__ import annotations

from pvbinder.server.authentication import AUTHENTICATED
from pvbinder.server.authorization import ALLOWED, DENIED, Decision
from pvbinder.server.requests import UserInfo
from pvbinder.server.rest.attributes import Attributes

PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
DISCOVERY_PATHS = ("/api", "/api/", "/apis", "/apis/", "/openapi", "/openapi/")
DISCOVERY_TREES = ("/api/", "/apis/", "/openapi/")
SELF_REVIEWS = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
}


class Everybody:
    """Allows what needs no role, and nothing else."""

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        """Decide whether `user` may do this without having been given a role."""
        known = AUTHENTICATED in user.groups
        if attributes.is_resource:
            review = (attributes.group, attributes.resource)
            return ALLOWED if known and attributes.verb == "create" and review in SELF_REVIEWS else DENIED
        if attributes.verb not in ("get", "head"):
            return DENIED
        path = attributes.path
        if path in PUBLIC_PATHS:
            return ALLOWED
        return ALLOWED if known and (path in DISCOVERY_PATHS or path.startswith(DISCOVERY_TREES)) else DENIED
