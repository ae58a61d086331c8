"""POST of a Binding: a pod gets its node, by ``pods/NAME/binding`` or by ``bindings``, which names the pod in its body.

BIND-1  A binding is about the pod that its path names: one with another name, or none, is refused before anything else.
BIND-2  A uid or a resourceVersion in it is a precondition: it binds that very pod, or none.
BIND-3  Its labels and annotations reach the pod in the same write.
"""

from __future__ import annotations

from msgspec.structs import replace

from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.object_meta import put_in_namespace
from pvbinder.server.api.rest.options import internal_error
from pvbinder.server.api.rest.write_request import WriteRequest
from pvbinder.server.errors import bad_request
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.built_in.pods import BIND, POD, bind_pod, validate_binding
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import ApiRequest
from pvbinder.server.store import Stored


async def bind(write: WriteRequest, body: Json) -> None:
    """Give the pod that the path names the node that `body` names."""
    put_in_namespace(body, write.namespace)
    sent: Json = body["metadata"]
    if sent.get("name", "") != write.attributes.name:
        raise bad_request("name in URL does not match name in Binding object")  # BIND-1
    errors = validate_binding(body)
    if errors:  # as the reference, which forgets to call it invalid
        texts = ", ".join(map(str, errors))
        raise internal_error(texts if len(errors) == 1 else f"[{texts}]")
    await write.judge_posted(body, BIND)
    stored = write.find_there()
    old, new = write.storage.decode(stored.data), write.storage.decode(stored.data)
    _check_preconditions(write, sent, stored, old)
    bind_pod(new, body, write.now)
    await write.store_change(stored, old, new, BIND, record=False)


async def of_bindings(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage
) -> tuple[WriteRequest, Json]:
    """Read a POST to ``bindings`` as one to the ``binding`` of the pod that it names."""
    body = await WriteRequest.read(api, request, attributes, storage, "CreateOptions").decode(storage.kind)
    name = (body.get("metadata") or {}).get("name", "")
    if not name:
        raise bad_request("Name parameter required.")
    pods = api.objects.storage(POD.resource.group, POD.resource.version, POD.resource.plural)
    assert pods is not None, "pods are served"
    about = replace(attributes, resource=POD.resource.plural, name=name, subresource=BIND.name)
    return WriteRequest.read(api, request, about, pods, "CreateOptions"), body


def is_binding(kind: ServedKind) -> bool:
    """Tell whether `kind` is what is posted to ``bindings``."""
    return kind.resource == BIND.body


def _check_preconditions(write: WriteRequest, sent: Json, stored: Stored, pod: Json) -> None:
    """Refuse a binding that is meant for another pod of the name, or for an earlier state of it (BIND-2)."""
    problems = {"UID": (sent.get("uid"), pod["metadata"]["uid"])}
    problems["ResourceVersion"] = (sent.get("resourceVersion"), str(stored.revision))
    for what, (wanted, there) in problems.items():
        if wanted and wanted != there:
            raise write.failed_precondition(what, wanted, there)
