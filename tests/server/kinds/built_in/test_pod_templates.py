"""Templates of pods: their defaults, their refusals, and what columns show of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pvbinder.server.kinds.built_in.pod_templates import (
    CURRENT,
    DESIRED,
    READY,
    SELECTOR,
    container_columns,
    default_template,
    validate_template,
)
from pvbinder.server.objects.kind import Json

NOW = datetime(2026, 1, 31, tzinfo=UTC)


def template(policy: str = "Always", **metadata: object) -> Json:
    found: Json = {"metadata": dict(metadata), "spec": {"containers": [{"name": "c", "image": "i"}]}}
    found["spec"]["restartPolicy"] = policy
    default_template(found)
    return found


def test_a_template_gets_metadata_and_a_spec() -> None:
    empty: Json = {}
    default_template(empty)
    assert empty["metadata"] == {}
    assert empty["spec"]["dnsPolicy"] == "ClusterFirst"
    assert "enableServiceLinks" not in empty["spec"]
    bare = template(labels={}, annotations={}, name="", namespace="", finalizers=[], ownerReferences=[])
    assert bare["metadata"] == {}


REFUSED: dict[str, tuple[Json, tuple[str, ...], list[str]]] = {
    "a good one": (template(labels={"a": "b"}, annotations={"a": "b"}), ("Always",), []),
    "it ends": (
        template("Never"),
        ("Always",),
        ['t.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ),
    "it may end": (template("Never"), ("OnFailure", "Never"), []),
    "it doesn't end": (
        template(),
        ("OnFailure", "Never"),
        ['t.spec.restartPolicy: Unsupported value: "Always": supported values: "OnFailure", "Never"'],
    ),
    "it ends if it can": (
        template("OnFailure"),
        ("Always",),
        ['t.spec.restartPolicy: Unsupported value: "OnFailure": supported values: "Always"'],
    ),
    "no policy at all is told once": (
        template("Odd"),
        ("Always",),
        ['t.spec.restartPolicy: Unsupported value: "Odd": supported values: "Always", "OnFailure", "Never"'],
    ),
}


@pytest.mark.parametrize(("obj", "policies", "errors"), REFUSED.values(), ids=REFUSED.keys())
def test_what_a_template_can_not_be(obj: Json, policies: tuple[str, ...], errors: list[str]) -> None:
    assert [str(error) for error in validate_template(obj, "t", policies)] == errors


def test_labels_and_annotations_of_a_template_are_checked() -> None:
    fields = [error.field for error in validate_template(template(labels={"a": "-"}, annotations={"-": "b"}), "t")]
    assert fields == ["t.labels", "t.annotations"]
    assert next(error.field for error in validate_template({}, "t")) == "t.spec.containers"


def test_what_columns_show() -> None:
    path = ("spec", "template", "spec", "containers")
    containers, images = container_columns(*path)
    obj = {
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"a": "b"}},
            "template": {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d"}]}},
        },
        "status": {"replicas": 2, "readyReplicas": 1},
    }

    assert [one.cell(obj, NOW) for one in (containers, images)] == ["c,d", "i,"]
    assert [one.cell({}, NOW) for one in (containers, images)] == ["", ""]
    assert containers.cell({"spec": {"template": "none"}}, NOW) == ""
    assert [one.cell(obj, NOW) for one in (DESIRED, CURRENT, READY, SELECTOR)] == [3, 2, 1, "a=b"]
    assert [one.cell({}, NOW) for one in (DESIRED, CURRENT, READY)] == [0, 0, 0]
    assert [(one.name, one.type, one.priority, one.description) for one in (DESIRED, CURRENT, READY, SELECTOR)] == [
        ("Desired", "integer", 0, "Pods that should be."),
        ("Current", "integer", 0, "Pods there are."),
        ("Ready", "integer", 0, "Pods that are ready."),
        ("Selector", "string", 1, "Which pods belong to it."),
    ]
    assert [(one.name, one.priority, one.description) for one in (containers, images)] == [
        ("Containers", 1, "Names of containers."),
        ("Images", 1, "Images of containers."),
    ]
