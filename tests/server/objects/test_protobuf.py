"""The protobuf bodies that kubectl and client-go send."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest
from tests.protobuf_wire import entry, envelope, field, varint

from pvbinder.model.resources import Resource
from pvbinder.server.kinds.registry import BUILT_IN
from pvbinder.server.objects.protobuf import FIELDS_MAX, MAGIC, MESSAGES_DEEP_MAX, ProtobufError, decode
from pvbinder.server.objects.protobuf_messages import messages
from pvbinder.server.objects.schema.types import CATALOGUE

META = field(1, "a") + field(11, entry("l", "v")) + field(14, "e/f")
META_JSON = {"name": "a", "labels": {"l": "v"}, "finalizers": ["e/f"]}
BODIES: dict[str, tuple[str, bytes, dict[str, Any]]] = {
    "Namespace": (
        "v1",
        field(1, META) + field(2, field(1, "x/y")),
        {"metadata": META_JSON, "spec": {"finalizers": ["x/y"]}},
    ),
    "ConfigMap": (
        "v1",
        field(1, META) + field(2, entry("k", "v")) + field(3, entry("b", b"\0\1")) + field(4, 1),
        {"metadata": META_JSON, "data": {"k": "v"}, "binaryData": {"b": "AAE="}, "immutable": True},
    ),
    "Secret": (
        "v1",
        field(1, META) + field(2, entry("k", b"v")) + field(3, "Opaque"),
        {"metadata": META_JSON, "data": {"k": "dg=="}, "type": "Opaque"},
    ),
    "ServiceAccount": (
        "v1",
        field(1, META) + field(2, field(3, "s")) + field(3, field(1, "p")) + field(4, 0),
        {
            "metadata": META_JSON,
            "secrets": [{"name": "s"}],
            "imagePullSecrets": [{"name": "p"}],
            "automountServiceAccountToken": False,
        },
    ),
    "SelfSubjectAccessReview": (
        "authorization.k8s.io/v1",
        field(2, field(1, field(2, "get") + field(5, "pods"))),
        {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}},
    ),
    "SelfSubjectReview": ("authentication.k8s.io/v1", b"", {}),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_is_what_its_json_would_be(kind: str) -> None:
    api_version, raw, expected = BODIES[kind]
    header = {"apiVersion": api_version, "kind": kind}
    assert decode(envelope(api_version, kind, raw), "X", "x/v1") == (header, header | expected)


def test_times_and_negative_numbers() -> None:
    meta = field(8, field(1, 1704067200)) + field(7, 2**64 - 1)
    _, obj = decode(envelope("v1", "ConfigMap", field(1, meta)), "X", "v1")
    assert obj is not None
    assert obj["metadata"] == {"creationTimestamp": "2024-01-01T00:00:00Z", "generation": -1}


def test_times_of_micro_seconds_keep_them() -> None:
    lease = field(2, field(1, "me") + field(3, field(1, 1704067200) + field(2, 5000)) + field(4, b""))
    _, obj = decode(envelope("coordination.k8s.io/v1", "Lease", lease), "X", "v1")
    assert obj is not None
    assert obj["spec"] == {"holderIdentity": "me", "acquireTime": "2024-01-01T00:00:00.000005Z", "renewTime": None}


def test_a_field_of_a_newer_version_is_passed_over() -> None:
    _, obj = decode(envelope("v1", "ConfigMap", field(1, META) + field(99, "x")), "X", "v1")
    assert obj == {"apiVersion": "v1", "kind": "ConfigMap", "metadata": META_JSON}


def test_a_kind_that_has_no_protobuf_is_not_understood() -> None:
    header = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot"}
    assert decode(envelope(header["apiVersion"], header["kind"], b""), "X", "v1") == (header, None)


def test_a_volume_is_what_its_json_would_be() -> None:
    csi = field(1, "d.example.com") + field(2, "handle") + field(3, 1) + field(5, entry("a", "b"))
    requirement = field(1, "zone") + field(2, "In") + field(3, "a") + field(3, "b")
    affinity = field(1, field(1, field(1, requirement)))
    spec = field(1, entry("storage", field(1, "1Gi"))) + field(2, field(22, csi)) + field(3, "ReadWriteOnce")
    raw = field(1, META) + field(2, spec + field(6, "") + field(9, affinity)) + field(3, field(1, "Bound"))
    _, obj = decode(envelope("v1", "PersistentVolume", raw), "X", "v1")
    assert obj is not None
    assert obj["status"] == {"phase": "Bound"}
    expression = {"key": "zone", "operator": "In", "values": ["a", "b"]}
    assert obj["spec"] == {
        "capacity": {"storage": "1Gi"},
        "csi": {"driver": "d.example.com", "volumeHandle": "handle", "readOnly": True, "volumeAttributes": {"a": "b"}},
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
    }


def test_values_that_json_shows_in_two_forms_and_numbers_with_a_fraction() -> None:
    number = field(5, "number") + varint(11 << 3 | 1) + struct.pack("<d", 0.5)
    schema = (
        field(5, "object")
        + field(8, field(1, b'{"a":1}'))
        + field(20, field(1, b'"x"'))
        + field(24, field(1, number))
        + field(29, entry("p", number))
        + field(30, field(1, 1))
        + field(32, entry("d", field(2, "p")))
    )
    version = field(1, "v1") + field(2, 1) + field(3, 1) + field(4, field(1, schema))
    definition = field(2, field(1, "example.com") + field(7, version))
    _, obj = decode(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition), "X", "v1")
    assert obj is not None
    assert obj["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "default": {"a": 1},
        "enum": ["x"],
        "items": {"type": "number", "minimum": 0.5},
        "properties": {"p": {"type": "number", "minimum": 0.5}},
        "additionalProperties": True,
        "dependencies": {"d": ["p"]},
    }


def test_a_schema_within_schemas_without_end_is_refused() -> None:
    schema = field(5, "object")
    for _ in range(MESSAGES_DEEP_MAX + 1):
        schema = field(28, schema)
    definition = field(2, field(7, field(4, field(1, schema))))
    with pytest.raises(ProtobufError, match="exceeded max depth"):
        decode(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition), "X", "v1")


def test_what_a_message_shows_in_place_and_what_is_a_value_of_its_own() -> None:
    backend = field(2, field(4, field(1, "s") + field(2, field(2, 80))))
    rule = field(1, "host") + field(2, field(1, field(1, field(1, "/") + backend)))
    _, ingress = decode(envelope("networking.k8s.io/v1", "Ingress", field(2, field(3, rule))), "X", "v1")
    assert ingress is not None
    path = {"path": "/", "backend": {"service": {"name": "s", "port": {"number": 80}}}}
    assert ingress["spec"] == {"rules": [{"host": "host", "http": {"paths": [path]}}]}
    hard = field(1, entry("pods", field(1, "5")))
    _, quota = decode(envelope("v1", "ResourceQuota", field(2, hard)), "X", "v1")
    assert quota is not None
    assert quota["spec"] == {"hard": {"pods": "5"}}
    ports = field(1, field(3, 80) + field(4, field(1, 1) + field(3, "http")))
    _, service = decode(envelope("v1", "Service", field(2, ports)), "X", "v1")
    assert service is not None
    assert service["spec"] == {"ports": [{"port": 80, "targetPort": "http"}]}


def test_more_fields_than_an_object_has_are_refused() -> None:
    with pytest.raises(ProtobufError, match=f"more than {FIELDS_MAX} fields"):
        decode(envelope("v1", "ConfigMap", field(99, "") * (FIELDS_MAX + 1)), "X", "v1")


SCALARS = {
    "string": {"string"},
    "int": {"int32", "int64"},
    "bool": {"bool"},
    "float": {"double"},
    "bytes": {"bytes"},
    "time": {"time"},
    "microtime": {"microtime"},
    "quantity": {"quantity"},
    "intorstring": {"intorstring"},
    "items": {"[]string"},
    "fields": {"any"},
    "json": {"any"},
}
WITHOUT_A_SHAPE = {
    "JSONSchemaProps",
    "schemaorbool",
    "schemaorarray",
    "schemaorstrings",
}  # checked as a whole elsewhere
SERVED = [kind.resource for kind in BUILT_IN if not kind.resource.group.startswith("snapshot.")]


@pytest.mark.parametrize("resource", SERVED, ids=str)
def test_every_field_of_a_kind_has_its_number_and_its_type(resource: Resource) -> None:
    message = messages().kinds[resource.api_version, resource.kind]
    schema = CATALOGUE.kinds[resource.group, resource.version, resource.kind]
    assert_alike(message, schema, set())


def assert_alike(message: str, schema: str, seen: set[str]) -> None:
    """Compare a message with the type of the schema that its JSON has, and all that is in it."""
    if message in seen:
        return
    seen.add(message)
    types = flat(message)
    fields = CATALOGUE[schema].fields
    assert set(types) <= set(fields), message
    assert set(fields) - set(types) <= {"kind", "apiVersion"}, message
    for name, type_ in types.items():
        declared = fields[name].type
        bare = type_.lstrip("[]{}")
        if bare in WITHOUT_A_SHAPE:
            continue
        prefix = type_[: len(type_) - len(bare)]
        if bare in SCALARS:
            assert declared in {prefix + scalar for scalar in SCALARS[bare]}, f"{message}.{name}"
        elif declared == prefix + "any":  # messages without fields
            assert not messages()[bare], f"{message}.{name}"
        else:
            assert declared.startswith(f"{prefix}#"), f"{message}.{name}"
            assert_alike(bare, fields[name].reference, seen)


def flat(message: str) -> dict[str, str]:
    """The fields of a message as JSON shows them."""
    types: dict[str, str] = {}
    for name, type_ in messages()[message].values():
        types |= flat(type_[1:]) if type_.startswith("<") else {name: type_}
    return types


def test_an_envelope_without_a_type_takes_that_of_the_path() -> None:
    assert decode(MAGIC + field(2, field(1, META)), "ConfigMap", "v1") == ({}, {"metadata": META_JSON})


DAMAGED = {
    "no prefix": b"nope",
    "a length beyond the end": MAGIC + b"\x12\x7f",
    "half a number": MAGIC + b"\x80",
    "a number without end": MAGIC + b"\xff" * 20,
    "field zero": MAGIC + b"\0\0",
    "an unknown wire type": MAGIC + b"\x0f",
    "text that is no UTF-8": envelope("v1", "ConfigMap", field(1, field(1, b"\xff"))),
    "a number for a text": envelope("v1", "ConfigMap", field(1, field(1, 5))),
    "a text for a number": envelope("v1", "ConfigMap", field(4, "x")),
    "a time out of range": envelope("v1", "ConfigMap", field(1, field(8, field(1, 2**62)))),
    "an encoding": MAGIC + field(2, b"") + field(3, "gzip"),
    "a text for a number with a fraction": envelope(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        field(2, field(7, field(4, field(1, field(11, "x"))))),
    ),
    "a value that is no JSON": envelope("apps/v1", "ControllerRevision", field(2, field(1, b"{"))),
    "managed fields that are no JSON": envelope("v1", "ConfigMap", field(1, field(17, field(7, field(1, b"{"))))),
}


@pytest.mark.parametrize("body", DAMAGED.values(), ids=DAMAGED.keys())
def test_what_is_damaged_is_refused(body: bytes) -> None:
    with pytest.raises(ProtobufError):
        decode(body, "ConfigMap", "v1")


def test_a_body_as_kubectl_sends_it() -> None:
    body = base64.b64decode(
        "azhzAAoyChdhdXRob3JpemF0aW9uLms4cy5pby92MRIXU2VsZlN1YmplY3RBY2Nlc3NSZXZpZXcSLwoAEisKKQoHZGVmYXVsdBIGY3JlYXRlKhZw"
        "ZXJzaXN0ZW50dm9sdW1lY2xhaW1z"
    )
    _, obj = decode(body, "X", "v1")
    assert obj is not None
    attributes = {"namespace": "default", "verb": "create", "resource": "persistentvolumeclaims"}
    assert obj["spec"] == {"resourceAttributes": attributes}
