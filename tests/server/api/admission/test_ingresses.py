"""The class of ingresses that say nothing about one."""

from __future__ import annotations

import pytest
from tests.server.kinds.writes import Objects, new, stored

from pvbinder.server.api.admission.ingresses import INGRESS_CLASSES
from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json

INGRESS = next(kind for kind in Registry() if kind.resource.plural == "ingresses")
BACKEND = {"service": {"name": "s", "port": {"number": 80}}}


def of_class(name: str, created: str = "2026-01-01T00:00:00Z", marked: str = "true") -> Json:
    annotations = {"ingressclass.kubernetes.io/is-default-class": marked}
    return {"metadata": {"name": name, "creationTimestamp": created, "annotations": annotations}}


NEWER = "2026-01-02T00:00:00Z"
GIVEN: dict[str, tuple[list[Json], Json, str | None]] = {
    "no class is there": ([], {}, None),
    "one is the default": ([of_class("a"), of_class("b", marked="false")], {}, "a"),
    "the newest of several": ([of_class("a"), of_class("b", NEWER), of_class("c")], {}, "b"),
    "the first by name of those as new": ([of_class("b"), of_class("a")], {}, "a"),
    "the ingress says which": ([of_class("a")], {"spec": {"ingressClassName": "mine"}}, "mine"),
    "the ingress says which in the old way": (
        [of_class("a")],
        {"metadata": {"annotations": {"kubernetes.io/ingress.class": "mine"}}},
        None,
    ),
}


@pytest.mark.parametrize(("classes", "fields", "name"), GIVEN.values(), ids=GIVEN.keys())
def test_the_default_class(classes: list[Json], fields: Json, name: str | None) -> None:
    objects = Objects(*((INGRESS_CLASSES, one) for one in classes))
    spec = {"defaultBackend": BACKEND, **fields.get("spec", {})}
    made = stored(INGRESS, new(metadata=fields.get("metadata", {}), spec=spec), objects)
    assert made["spec"].get("ingressClassName") == name
