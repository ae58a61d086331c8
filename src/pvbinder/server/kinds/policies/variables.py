"""What expressions of policies see: the types of the request, the namespace, and the names of all variables."""

from __future__ import annotations

from typing import Final

from pvbinder.server.kinds.cel.functions.authorizers import AUTHORIZER, RESOURCE_CHECK
from pvbinder.server.kinds.cel.types import BOOL, DYN, INT, STRING, TIMESTAMP, Type, list_of, map_of

OBJECT: Final = "object"
OLD_OBJECT: Final = "oldObject"
PARAMS: Final = "params"
REQUEST: Final = "request"
NAMESPACE: Final = "namespaceObject"
AUTHORIZER_NAME: Final = "authorizer"
REQUEST_RESOURCE: Final = "authorizer.requestResource"
VARIABLES: Final = "variables"


def _object(name: str, /, **fields: Type) -> Type:
    return Type("object", f"kubernetes.{name}", fields=fields)


_KIND: Final = _object("GroupVersionKind", group=STRING, version=STRING, kind=STRING)
_RESOURCE: Final = _object("GroupVersionResource", group=STRING, version=STRING, resource=STRING)
_USER: Final = _object(
    "UserInfo", username=STRING, uid=STRING, groups=list_of(STRING), extra=map_of(STRING, list_of(STRING))
)
_REQUEST: Final = _object(
    "AdmissionRequest",
    kind=_KIND,
    resource=_RESOURCE,
    subResource=STRING,
    requestKind=_KIND,
    requestResource=_RESOURCE,
    requestSubResource=STRING,
    name=STRING,
    namespace=STRING,
    operation=STRING,
    userInfo=_USER,
    dryRun=BOOL,
    options=DYN,
)
_METADATA: Final = _object(
    "NamespaceMetadata",
    name=STRING,
    generateName=STRING,
    namespace=STRING,
    labels=map_of(STRING, STRING),
    annotations=map_of(STRING, STRING),
    UID=STRING,  # sic: nothing is found by that name
    creationTimestamp=TIMESTAMP,
    deletionGracePeriodSeconds=INT,
    deletionTimestamp=TIMESTAMP,
    generation=INT,
    resourceVersion=STRING,
    finalizers=list_of(STRING),
)
_CONDITION: Final = _object(
    "NamespaceCondition",
    status=STRING,
    type=STRING,
    lastTransitionTime=TIMESTAMP,
    message=STRING,
    reason=STRING,
)
_NAMESPACE: Final = _object(
    "Namespace",
    metadata=_METADATA,
    spec=_object("NamespaceSpec", finalizers=list_of(STRING)),
    status=_object("NamespaceStatus", conditions=list_of(_CONDITION), phase=STRING),
)
_ALWAYS: Final[dict[str, Type]] = {OBJECT: DYN, OLD_OBJECT: DYN, NAMESPACE: _NAMESPACE, REQUEST: _REQUEST}
_AUTHORIZERS: Final[dict[str, Type]] = {AUTHORIZER_NAME: AUTHORIZER, REQUEST_RESOURCE: RESOURCE_CHECK}


def seen(*, has_params: bool, has_authorizer: bool, variables: Type | None = None) -> dict[str, Type]:
    """Return the types of what an expression sees; `variables` is the type of the policy's own (`Variables`)."""
    found = dict(_ALWAYS)
    if has_params:
        found[PARAMS] = DYN
    if has_authorizer:
        found |= _AUTHORIZERS
    if variables is not None:
        found[VARIABLES] = variables
    return found


def as_field(type_: Type | None) -> Type:
    """Return the type of a policy's own variable: that of its expression, as far as it can be said of a field."""
    if type_ is None:
        return DYN
    if type_.kind == "list":
        return list_of(as_field(type_.params[0]))
    if type_.kind == "map":
        return map_of(*map(as_field, type_.params))
    return DYN if type_.kind in ("object", "opaque", "type", "error", "param") else type_
