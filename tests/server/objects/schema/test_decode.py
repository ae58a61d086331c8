"""Bodies become objects, or the 400 that the reference gives (DECODE-1 to 3)."""

from __future__ import annotations

import base64
import json

import pytest
from tests.server.objects.schema.kinds import CLAIM, CONFIG_MAP, NAMESPACE, POD, SECRET, STORAGE_CLASS

from pvbinder.server.errors import ApiError
from pvbinder.server.objects.kind import ServedKind
from pvbinder.server.objects.schema import check_object, decode_body
from pvbinder.server.objects.schema.decode import has_every_key_once

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def refusal(body: str | bytes, kind: ServedKind = CONFIG_MAP, content_type: str = JSON, strict: bool = False) -> str:
    """The message of the 400 that a body gets."""
    raw = body.encode() if isinstance(body, str) else body
    with pytest.raises(ApiError) as caught:
        decode_body(raw, content_type, kind, "Strict" if strict else "Warn")
    assert (caught.value.code, caught.value.reason) == (400, "BadRequest")
    return caught.value.message


def test_decode_1_what_comes_out_is_what_the_reference_writes() -> None:
    body = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": {"name": "a", "labels": {}, "finalizers": [], "creationTimestamp": None, "generateName": ""},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": "",
            "volumeName": "",
            "resources": {"requests": {"storage": "1024Mi"}},
        },
        "status": {"conditions": [{"type": "Resizing", "lastTransitionTime": "2024-01-01T02:00:00.5+02:00"}]},
    }
    expected = {
        "kind": "PersistentVolumeClaim",
        "apiVersion": "v1",
        "metadata": {"name": "a"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "",
        },
        "status": {
            "conditions": [
                {"status": "", "lastProbeTime": None, "lastTransitionTime": "2024-01-01T00:00:00Z", "type": "Resizing"}
            ]
        },
    }
    assert decode_body(json.dumps(body).encode(), JSON, CLAIM, "Strict") == (expected, [])


UNKNOWN = '{"metadata":{"name":"a","labls":{"x":"y"}},"dta":{"k":"v"}}'
TWICE = '{"metadata":{"name":"d"},"data":{"k":"v","k":"w"},"metadata":{"name":"d"}}'


def test_decode_2_strict_refuses_unknown_fields_in_the_order_of_the_body() -> None:
    assert refusal(UNKNOWN, strict=True) == (
        'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: '
        'unknown field "metadata.labls", unknown field "dta"'
    )


def test_decode_2_warn_names_them_and_drops_them() -> None:
    obj, warnings = decode_body(UNKNOWN.encode(), JSON, CONFIG_MAP, "Warn")
    assert warnings == ['unknown field "metadata.labls"', 'unknown field "dta"']
    assert obj == {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}}


def test_decode_2_ignore_says_nothing() -> None:
    assert decode_body(UNKNOWN.encode(), JSON, CONFIG_MAP, "Ignore")[1] == []


def test_decode_2_duplicate_fields_are_found() -> None:
    assert refusal(TWICE, strict=True).endswith('duplicate field "data.k", duplicate field "metadata"')
    obj, warnings = decode_body(TWICE.encode(), JSON, CONFIG_MAP, "Warn")
    assert warnings == ['duplicate field "data.k"', 'duplicate field "metadata"']
    assert obj["data"] == {"k": "w"}


HIDDEN_DUPLICATES = {
    "a space before the colon hides a key from the count": '{"data":{"a" :"1","b":"2","b":"3"}}',
    "an escape adds one to the count": '{"data":{"a":"x\\u0022:y","b":"2","b":"3"}}',
    "an escaped backslash ends a text": '{"data":{"a":"x\\\\","b":"2","b":"3"}}',
    "a quote and a colon in a text": '{"data":{"a":"x\\":y","b":"2","b":"3"}}',
    "an escaped key equals a plain one": '{"data":{"\\u0062":"2","b":"3"}}',
}


@pytest.mark.parametrize("body", HIDDEN_DUPLICATES.values(), ids=HIDDEN_DUPLICATES.keys())
def test_decode_2_no_duplicate_hides(body: str) -> None:
    assert refusal(body, strict=True).endswith('duplicate field "data.b"')


def test_decode_2_indexes_stand_in_paths() -> None:
    body = '{"spec":{"containers":[{"name":"a"},{"name":"b","imag":"x"}]}}'
    assert decode_body(body.encode(), JSON, POD, "Warn")[1] == ['unknown field "spec.containers[1].imag"']


CANNOT = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: '
UNRECOGNIZED = (
    "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: "
)
HEADER = r'struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }'
REFUSED = {
    "an open brace": ("{", UNRECOGNIZED + "unexpected end of JSON input ({)"),
    "nothing": ("", UNRECOGNIZED + "unexpected end of JSON input (<empty>)"),
    "a list": ("[]", UNRECOGNIZED + f"json: cannot unmarshal array into Go value of type {HEADER} (5b5d)"),
    "a string": ('"str"', UNRECOGNIZED + f"json: cannot unmarshal string into Go value of type {HEADER} (2273747222)"),
    "a kind that is a number": (
        '{"kind":1}',
        UNRECOGNIZED + 'json: cannot unmarshal number into Go struct field .kind of type string ({"kind":1})',
    ),
    "no number": ('{"a":NaN}', UNRECOGNIZED + "invalid character 'N' looking for beginning of value ({\"a\":NaN})"),
    "a NUL": ('{"a":"\0"}', UNRECOGNIZED + "invalid character '\\x00' in string literal ({\"a\":\"\0\"})"),
    "no UTF-8": (b'{"a":"\xff"}', UNRECOGNIZED + 'invalid UTF-8 byte 0xff at offset 6 ({"a":"\ufffd"})'),
    "no colon": ('{"a" 1}', UNRECOGNIZED + "invalid character '1' after object key ({\"a\" 1})"),
    "a comma too many": ('{"a":1,}', UNRECOGNIZED + "invalid character '}' looking for beginning of object key "
                         'string ({"a":1,})'),
    "more after the end": ("{}}", UNRECOGNIZED + "invalid character '}' after top-level value ({}})"),
    "a bad escape": (r'{"\x":1}', UNRECOGNIZED + r"""invalid character 'x' in string escape code ({"\x":1})"""),
    "a bad literal": ('{"a":nul}', UNRECOGNIZED + "invalid character '}' in literal null (expecting 'l') "
                      '({"a":nul})'),
    "deep nesting": ('{"data":' * 201, UNRECOGNIZED + 'exceeded max depth ({"data":{"data":{"data":{"data ...)'),
    "deep lists": ("[" * 100_000, UNRECOGNIZED + f"exceeded max depth ({'5b' * 30} ...)"),
    "a name that is a number": (
        '{"metadata":{"name":5}}',
        CANNOT + "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string",
    ),
    "metadata that is a string": (
        '{"metadata":"x"}',
        CANNOT + "json: cannot unmarshal string into Go struct field ConfigMap.metadata of type v1.ObjectMeta",
    ),
    "a value that is a number": (
        '{"data":{"k":1}}',
        CANNOT + "json: cannot unmarshal number into Go struct field ConfigMap.data of type string",
    ),
    "a label that is a boolean": (
        '{"metadata":{"labels":{"x":true}}}',
        CANNOT + "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string",
    ),
    "a number too wide": (
        '{"metadata":{"generation":99999999999999999999}}',
        CANNOT + "json: cannot unmarshal number 99999999999999999999 into Go struct field "
        "ObjectMeta.metadata.generation of type int64",
    ),
    "no time": (
        '{"metadata":{"creationTimestamp":"yesterday"}}',
        CANNOT + 'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
    ),
    "a 13th month": (
        '{"metadata":{"creationTimestamp":"2024-13-01T00:00:00Z"}}',
        CANNOT + 'parsing time "2024-13-01T00:00:00Z": month out of range',
    ),
    "another kind": (
        '{"apiVersion":"v1","kind":"Secret"}',
        ('Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown '
        "conversion"),
    ),
    "no kind": (
        '{"apiVersion":"v1","kind":"NoSuch"}',
        ('NoSuch in version "v1" cannot be handled as a ConfigMap: no kind "NoSuch" is registered for version "v1" in '
        'scheme "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"'),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_decode_3_refused_in_the_words_of_the_reference(body: str | bytes, message: str) -> None:
    assert refusal(body) == message


def test_an_object_that_is_nested_too_deeply_where_anything_may_stand_is_refused() -> None:
    fields = b'{"f:a":' * 300 + b"{}" + b"}" * 300
    body = b'{"metadata":{"name":"a","managedFields":[{"manager":"m","fieldsV1":' + fields + b"}]}}"
    for strict in (False, True):
        assert "exceeded max depth" in refusal(body, strict=strict)


def test_another_version_of_a_kind_that_exists_is_refused_by_version() -> None:
    body = '{"apiVersion":"storage.k8s.io/v1beta1","kind":"StorageClass","provisioner":"x"}'
    assert refusal(body, STORAGE_CLASS) == (
        "the API version in the data (storage.k8s.io/v1beta1) does not match the expected API version "
        "(storage.k8s.io/v1)"
    )


OTHER_KINDS = {
    "a list that is a string": (
        CLAIM,
        '{"spec":{"accessModes":"ReadWriteOnce"}}',
        (
            "json: cannot unmarshal string into Go struct field PersistentVolumeClaimSpec.spec.accessModes of type "
            "[]v1.PersistentVolumeAccessMode"
        ),
    ),
    "no quantity": (
        CLAIM,
        '{"spec":{"resources":{"requests":{"storage":"many"}}}}',
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
    ),
    "a port that is a string": (
        POD,
        '{"spec":{"containers":[{"ports":[{"containerPort":"80"}]}]}}',
        (
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.containers.ports.containerPort of "
            "type "
            "int32"
        ),
    ),
    "a port too wide": (
        POD,
        '{"spec":{"containers":[{"ports":[{"containerPort":99999999999}]}]}}',
        (
            "json: cannot unmarshal number 99999999999 into Go struct field ContainerPort.spec.containers.ports."
            "containerPort of type int32"
        ),
    ),
    "a number with a fraction": (
        POD,
        '{"spec":{"terminationGracePeriodSeconds":1.5}}',
        (
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type "
            "int64"
        ),
    ),
    "no base64": (SECRET, '{"data":{"a":"%%%"}}', "illegal base64 data at input byte 0"),
}


@pytest.mark.parametrize(("kind", "body", "why"), OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_decode_3_wrong_types_are_named_by_their_place(kind: ServedKind, body: str, why: str) -> None:
    name = kind.resource.kind
    assert refusal(body, kind) == f'{name} in version "v1" cannot be handled as a {name}: {why}'


def test_nulls_are_as_if_not_there_but_in_maps_and_lists_they_are_zero() -> None:
    body = b'{"metadata":{"name":null,"labels":{"a":null},"finalizers":["x/y",null]},"data":null}'
    obj, _ = decode_body(body, JSON, CONFIG_MAP, "Strict")
    assert obj["metadata"] == {"labels": {"a": ""}, "finalizers": ["x/y", ""]}
    assert "data" not in obj


def test_a_body_of_null_is_an_empty_object() -> None:
    assert decode_body(b"null", JSON, CONFIG_MAP, "Strict")[0] == {
        "kind": "ConfigMap", "apiVersion": "v1", "metadata": {},
    }  # fmt: skip


def test_quantities_may_be_numbers() -> None:
    body = b'{"spec":{"resources":{"requests":{"storage":1024},"limits":{"storage":0.5}}}}'
    assert decode_body(body, JSON, CLAIM, "Strict")[0]["spec"]["resources"] == {
        "requests": {"storage": "1024"}, "limits": {"storage": "500m"},
    }  # fmt: skip


YAML_BODY = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  k: v\n"


def test_yaml_is_read() -> None:
    assert decode_body(YAML_BODY, YAML, CONFIG_MAP, "Strict")[0]["data"] == {"k": "v"}


def test_yaml_that_is_none_is_refused_with_the_line() -> None:
    assert refusal("a: [b", content_type=YAML) == (
        "the object provided is unrecognized (must be of type ConfigMap): yaml: line 1: did not find expected ',' or "
        "']' (613a205b62)"
    )


def test_yaml_with_a_key_twice_is_a_strict_error() -> None:
    assert refusal(YAML_BODY + b"  k: w\n", content_type=YAML, strict=True) == (
        CANNOT + 'strict decoding error: yaml: unmarshal errors:\n  line 7: key "k" already set in map'
    )


def test_yaml_words_for_true_are_no_strings() -> None:
    assert refusal(YAML_BODY.replace(b"k: v", b"k: y"), content_type=YAML) == (
        CANNOT + "json: cannot unmarshal bool into Go struct field ConfigMap.data of type string"
    )


def test_protobuf_is_read() -> None:
    body = base64.b64decode("azhzAAoPCgJ2MRIJQ29uZmlnTWFwEg0KAwoBYRIGCgFrEgF2")
    assert decode_body(body, PROTOBUF, CONFIG_MAP, "Strict") == (
        {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "data": {"k": "v"}},
        [],
    )


def test_protobuf_without_its_prefix_is_refused() -> None:
    assert refusal(b"nope", content_type=PROTOBUF) == (
        "the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a "
        "protobuf message, expected prefix [107 56 115 0] (6e6f7065)"
    )


def test_protobuf_of_another_kind_is_refused() -> None:
    body = base64.b64decode("azhzAAoPCgJ2MRIJQ29uZmlnTWFwEg0KAwoBYRIGCgFrEgF2")
    assert refusal(body, NAMESPACE, PROTOBUF).startswith('ConfigMap in version "v1" cannot be handled as a Namespace')


def test_a_patched_object_of_a_wrong_type_is_422() -> None:
    with pytest.raises(ApiError) as caught:
        check_object({"data": {"k": 5}}, CONFIG_MAP, "Warn")
    assert (caught.value.code, caught.value.reason) == (422, "Invalid")
    assert caught.value.message == (
        ' "" is invalid: patch: Invalid value: "{\\"data\\":{\\"k\\":5}}": json: cannot unmarshal number into '
        "Go struct field ConfigMap.data of type string"
    )


def test_a_strategic_patch_names_wrong_types_in_other_words() -> None:
    with pytest.raises(ApiError, match=r'"map\[data:map\[k:5\]\]": cannot convert int64 to string'):
        check_object({"data": {"k": 5}}, CONFIG_MAP, "Warn", shown=lambda: "map[data:map[k:5]]", dialect="map")
    with pytest.raises(ApiError, match=r"unrecognized type: string"):
        check_object({"data": {"k": True}}, CONFIG_MAP, "Warn", shown=lambda: "", dialect="map")


def test_a_patched_object_with_unknown_fields_warns() -> None:
    assert check_object({"nonsense": {"a": 1}, "data": {"a": "b"}}, CONFIG_MAP, "Warn") == (
        {"metadata": {}, "data": {"a": "b"}},
        ['unknown field "nonsense"'],
    )


@pytest.mark.parametrize("change", [{"kind": "Secret"}, {"apiVersion": "v2"}])
def test_a_patch_must_not_change_the_kind(change: dict[str, str]) -> None:
    with pytest.raises(ApiError) as caught:
        check_object({"kind": "ConfigMap", "apiVersion": "v1"} | change, CONFIG_MAP, "Warn")
    assert caught.value.code == 422


@pytest.mark.parametrize("text", ["x", 'a":b', "a\\", '\\":', '\\\\":"', "\n", "\u2028"])
def test_texts_of_all_kinds_leave_the_keys_countable(text: str) -> None:
    body = json.dumps({"data": {"k": text, text: "v"}}, separators=(",", ":")).encode()
    assert has_every_key_once(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'{"a": 1, "a": "\\u0022:"}',
        b'{"a": 1, "a": "\\"\\u003a"}',
        b'{"a" :1, "a": 2}',
        b'{"a"\n:1, "b": {"c": 1, "c" : 2}}',
        b'{"a": "\\"\\":", "a": "\\"\\":"}',
        b'{"a\\\\":1, "a\\\\":2}',
    ],
)
def test_a_key_that_is_there_twice_is_found_however_the_texts_are_written(body: bytes) -> None:
    assert not has_every_key_once(body)


@pytest.mark.parametrize("body", [b'{"a": "\\"\\":", "b": "\\\\"}', b'{ "a":1,\n "b": "x:\\u003c:" }'])
def test_bodies_with_space_in_them_can_be_counted(body: bytes) -> None:
    assert has_every_key_once(body)
