"""The protobuf bodies that kubectl sends."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from pvbinder.server.protobuf import MAGIC, ProtobufError, decode
from pvbinder.server.protobuf_messages import messages
from pvbinder.server.schema.types import CATALOGUE


def field(number: int, value: bytes | str | int) -> bytes:
    """A field on the wire."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def entry(key: str, value: bytes | str) -> bytes:
    return field(1, key) + field(2, value)


def envelope(api_version: str, kind: str, raw: bytes) -> bytes:
    return MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, raw)


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


def test_a_field_that_is_not_known_is_an_error_unless_it_is_empty() -> None:
    assert decode(envelope("v1", "ConfigMap", field(1, META) + field(99, "")), "X", "v1")[1] is not None
    with pytest.raises(ProtobufError, match="field 99 of ConfigMap isn't understood in protobuf, send JSON"):
        decode(envelope("v1", "ConfigMap", field(99, "x")), "X", "v1")


def test_another_kind_is_not_understood() -> None:
    assert decode(envelope("v1", "Node", b""), "Node", "v1") == ({"apiVersion": "v1", "kind": "Node"}, None)


def test_what_a_message_shows_in_place_and_what_is_a_value_of_its_own() -> None:
    backend = field(2, field(4, field(1, "s") + field(2, field(2, 80))))
    rule = field(1, "host") + field(2, field(1, field(1, field(1, "/") + backend)))
    _, ingress = decode(envelope("networking.k8s.io/v1", "Ingress", field(2, field(3, rule))), "X", "v1")
    assert ingress is not None
    path = {"path": "/", "backend": {"service": {"name": "s", "port": {"number": 80}}}}
    assert ingress["spec"] == {"rules": [{"host": "host", "http": {"paths": [path]}}]}
    hard = field(1, entry("pods", field(1, "5")))
    _, quota = decode(envelope("v1", "ResourceQuota", field(2, hard) + field(3, field(9, "x"))), "X", "v1")
    assert quota is not None
    assert quota["spec"] == {"hard": {"pods": "5"}}
    assert "status" not in quota
    ports = field(1, field(3, 80) + field(4, field(1, 1) + field(3, "http")))
    _, service = decode(envelope("v1", "Service", field(2, ports)), "X", "v1")
    assert service is not None
    assert service["spec"] == {"ports": [{"port": 80, "targetPort": "http"}]}


def test_every_message_that_is_named_is_there_and_every_field_is_one_of_the_schema() -> None:
    known = messages()
    scalars = {"string", "int", "bool", "bytes", "raw", "time", "quantity", "intorstring", "fields", ""}
    for name, table in known.fields.items():
        for inner in table.values():
            type_ = inner.type.lstrip("[]{}<-")
            assert type_ in scalars or type_ in known.fields, f"{name}.{inner.name}"
    for (api_version, kind), message in known.kinds.items():
        group, _, version = api_version.rpartition("/")
        schema = CATALOGUE.kinds.get((group, version, kind))
        if schema is not None:
            assert {inner.name for inner in known.fields[message].values()} <= set(CATALOGUE[schema].fields), kind


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
