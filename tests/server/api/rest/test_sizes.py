"""No stored object is larger than etcd's limit (STORAGE-1), by any way of writing."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.server.hostile import APPLY, JSON_PATCH, MERGE, STRATEGIC, WIDGETS, YAML, with_widgets
from tests.server.serving import Serving, serving

from pvbinder.server.api.loading import LoadRefused
from pvbinder.server.embedded import EmbeddedServer
from pvbinder.server.kinds.storage import OBJECT_BYTES_MAX

HALF = "x" * 1_000_000
TOO_LARGE = "x" * (OBJECT_BYTES_MAX + 1)


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        await with_widgets()(server)
        yield server


def widget(name: str, **spec: str | None) -> dict[str, Any]:
    """A widget: a config map has a limit of its own."""
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": spec}


def is_too_large(reply: Any) -> bool:
    """Whether an answer says so."""
    return (
        reply.status == 413
        and reply.body["reason"] == "RequestEntityTooLarge"
        and "etcdserver: request is too large" in reply.message
        and str(OBJECT_BYTES_MAX) in reply.message
    )


def text_of(obj: object) -> bytes:
    return json.dumps(obj).encode()


LEASES = "/apis/coordination.k8s.io/v1/namespaces/shop/leases"
WRITES: dict[str, tuple[str, str, object, str | None]] = {
    "POST": ("POST", WIDGETS, widget("b", k=TOO_LARGE), None),
    "POST of YAML": ("POST", WIDGETS, text_of(widget("b", k=TOO_LARGE)), YAML),
    "PUT": ("PUT", f"{WIDGETS}/a", widget("a", k=TOO_LARGE), None),
    "JSON patch": ("PATCH", f"{WIDGETS}/a", [{"op": "add", "path": "/spec/more", "value": HALF}], JSON_PATCH),
    "JSON patch that copies": (
        "PATCH",
        f"{WIDGETS}/a",
        [{"op": "copy", "from": "/spec/k", "path": "/spec/more"}],
        JSON_PATCH,
    ),
    "merge patch": ("PATCH", f"{WIDGETS}/a", {"spec": {"more": HALF}}, MERGE),
    "strategic merge patch": ("PATCH", f"{LEASES}/b", {"spec": {"holderIdentity": TOO_LARGE}}, STRATEGIC),
    "apply": ("PATCH", f"{WIDGETS}/a?fieldManager=m", text_of(widget("a", more=HALF)), APPLY),
    "apply that creates": ("PATCH", f"{WIDGETS}/b?fieldManager=m", text_of(widget("b", k=TOO_LARGE)), APPLY),
    "a lease": (
        "PUT",
        f"{LEASES}/a",
        {"metadata": {"name": "a"}, "spec": {"holderIdentity": TOO_LARGE}},
        None,
    ),
    "a status": (
        "PATCH",
        "/api/v1/persistentvolumes/v/status",
        {"status": {"message": TOO_LARGE}},
        MERGE,
    ),
}


@pytest.mark.parametrize("dry", [False, True], ids=["", "dry run"])
@pytest.mark.parametrize("name", WRITES)
async def test_storage_1_no_write_makes_an_object_too_large(server: Serving, name: str, dry: bool) -> None:
    method, target, body, content_type = WRITES[name]
    await server.send("POST", WIDGETS, widget("a", k=HALF))
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}
    await server.send("POST", "/api/v1/persistentvolumes", {"metadata": {"name": "v"}, "spec": spec})
    await server.send("POST", LEASES, {"metadata": {"name": "b"}, "spec": {"holderIdentity": "m"}})
    before = server.store.revision

    if name == "PUT":
        body = widget("a", k=TOO_LARGE)
        body["metadata"]["resourceVersion"] = (await server.send("GET", f"{WIDGETS}/a")).revision
    if dry:
        target += "&dryRun=All" if "?" in target else "?dryRun=All"
    reply = await server.send(method, target, body, content_type=content_type)

    assert is_too_large(reply), (reply.status, str(reply.body)[:300])
    assert server.store.revision == before


async def test_storage_1_aliases_count_as_what_they_stand_for(server: Serving) -> None:
    lines = [f"  k{number}: *a" for number in range(200)]
    body = "\n".join(
        [
            "apiVersion: example.com/v1",
            "kind: Widget",
            "metadata: {name: a}",
            "spec:",
            f"  a: &a {'x' * 10_000}",
            *lines,
        ]
    )
    assert is_too_large(await server.send("POST", WIDGETS, body.encode(), content_type=YAML))
    assert is_too_large(await server.send("POST", f"{WIDGETS}?dryRun=All", body.encode(), content_type=YAML))


async def test_storage_1_managed_fields_count(server: Serving) -> None:
    """An object may be sent below the limit, and be above it with its managed fields."""
    data = {f"key-number-{number}": "v" for number in range(50_000)}
    assert len(json.dumps(data, separators=(",", ":"))) < OBJECT_BYTES_MAX
    assert is_too_large(await server.send("POST", WIDGETS, widget("b", **data)))


async def test_storage_1_merge_patches_do_not_let_an_object_grow_for_ever(server: Serving) -> None:
    await server.send("POST", WIDGETS, widget("a"))
    statuses = []
    for number in range(8):
        patch = {"spec": {f"k{number}": "x" * 400_000}}
        statuses.append((await server.send("PATCH", f"{WIDGETS}/a", patch)).status)
    assert statuses == [200, 200, 200, 413, 413, 413, 413, 413]


async def test_storage_1_the_largest_object_is_taken(server: Serving) -> None:
    first = await server.send("POST", WIDGETS, widget("a", k=""))
    stored = server.store.get("widgets.example.com", "shop/a")
    assert stored is not None
    room = OBJECT_BYTES_MAX - len(stored.data)
    assert first.status == 201
    fits = await server.send("POST", WIDGETS, widget("b", k="x" * room))
    assert fits.status == 201
    assert is_too_large(await server.send("POST", WIDGETS, widget("c", k="x" * (room + 1))))


async def test_storage_1_what_is_too_large_already_can_shrink_and_go(server: Serving) -> None:
    """An older server took it: it can be read, made smaller and deleted, finalizers or not."""
    await server.send("POST", WIDGETS, widget("a", k="x", l="y"))
    stored = server.store.get("widgets.example.com", "shop/a")
    assert stored is not None
    obj = json.loads(stored.data)
    obj["metadata"]["finalizers"] = ["example.com/f"]
    obj["spec"]["k"] = "x" * (2 * OBJECT_BYTES_MAX)

    def encode(revision: int) -> bytes:
        obj["metadata"]["resourceVersion"] = str(revision)
        return json.dumps(obj, separators=(",", ":")).encode()

    await server.store.put("widgets.example.com", "shop/a", encode)[1]

    assert (await server.send("GET", f"{WIDGETS}/a")).status == 200
    assert is_too_large(await server.send("PATCH", f"{WIDGETS}/a", {"spec": {"more": "x" * 1000}}))
    assert (await server.send("PATCH", f"{WIDGETS}/a", {"spec": {"l": None}})).status == 200
    assert (await server.send("DELETE", f"{WIDGETS}/a")).status == 200  # marked: larger by the mark
    assert (await server.send("PATCH", f"{WIDGETS}/a", {"metadata": {"finalizers": None}})).status == 200
    assert (await server.send("GET", f"{WIDGETS}/a")).status == 404


async def test_storage_1_a_dump_with_one_is_refused() -> None:
    large = {
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a", "namespace": "shop"},
        "spec": {"holderIdentity": TOO_LARGE},
    }  # fmt: skip
    with pytest.raises(LoadRefused, match="request is too large"):
        async with EmbeddedServer(listen=False, load=[("a file", large)]):
            pass
