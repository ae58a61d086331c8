"""Readers of users' texts and bytes understand them or refuse them in the right way, in bounded processor time.

The same mutations as in `traffic`, straight at the functions: patches of all kinds, owners of fields, selectors,
tokens, quantities, protobuf, YAML with aliases, JSON as nobody writes it. A long run: ``FUZZ_EXAMPLES=5000``.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import os
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.processor import at_most
from tests.server.fuzz import mutation
from tests.server.fuzz.traffic import SELECTORS, TOKENS
from tests.server.objects.schema.kinds import CLAIM, CONFIG_MAP, NAMESPACE, POD, SECRET

from pvbinder.model.quantity import QuantityError, parse_quantity
from pvbinder.model.selectors import SelectorError, parse_selector
from pvbinder.server.api.rest.continue_token import make_token, read_token
from pvbinder.server.errors import ApiError
from pvbinder.server.kinds.parts.fields import parse_field_selector
from pvbinder.server.objects.apply import apply
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.objects.managed_fields import record_update
from pvbinder.server.objects.patches import json_patch, merge_patch, strategic_patch
from pvbinder.server.objects.schema import check_object, decode_body

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "40"))
QUICK = settings(
    max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
PROCESSOR_SECONDS_MAX = 5.0  # the slowest needs some 50 ms
NOW = "2024-01-01T00:00:00Z"
RANDOMS = st.randoms(use_true_random=False)
METADATA: Json = {"name": "a", "namespace": "shop", "labels": {"a": "b"}, "finalizers": ["x/y"]}
OBJECTS: tuple[tuple[ServedKind, Json], ...] = (
    (CONFIG_MAP, {"metadata": METADATA, "data": {"a": "1", "b": "2"}}),
    (SECRET, {"metadata": METADATA, "data": {"a": "YQ=="}, "type": "Opaque"}),
    (
        CLAIM,
        {
            "metadata": METADATA,
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
    ),
    (
        POD,
        {
            "metadata": METADATA,
            "spec": {
                "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}], "ports": []}],
                "tolerations": [{"key": "k", "operator": "Exists"}],
            },
        },
    ),
)
KINDS = pytest.mark.parametrize(("kind", "obj"), OBJECTS, ids=[kind.resource.kind for kind, _ in OBJECTS])


def whole(kind: ServedKind, obj: Json) -> Json:
    return {"apiVersion": kind.resource.api_version, "kind": kind.resource.kind, **copy.deepcopy(obj)}


def code_of(call: Callable[[], Any]) -> int:
    """200, or the code of a refusal; anything else that is raised fails the test, as does a call that takes long."""
    code = 200
    with at_most(PROCESSOR_SECONDS_MAX):
        try:
            call()
        except ApiError as error:
            code = error.code
    return code


@KINDS
@given(random=RANDOMS)
@QUICK
def test_patches_fit_or_are_refused(kind: ServedKind, obj: Json, random: Random) -> None:
    before = whole(kind, obj)
    doc = copy.deepcopy(before)
    operations = mutation.text_of(mutation.json_patch(random, doc))
    merge = mutation.text_of(mutation.merge_patch(random, doc))
    strategic = mutation.text_of(mutation.strategic_patch(random, doc))
    assert code_of(partial(json_patch, doc, operations)) in (200, 400, 422)
    assert code_of(partial(merge_patch, doc, merge)) in (200, 400)
    assert code_of(partial(strategic_patch, doc, strategic, kind.schema)) in (200, 400, 500)
    for text in (operations, merge, strategic):
        bad = mutation.spoiled(random, text)
        assert code_of(partial(json_patch, doc, bad)) in (200, 400, 422)
        assert code_of(partial(merge_patch, doc, bad)) in (200, 400)
        assert code_of(partial(strategic_patch, doc, bad, kind.schema)) in (200, 400, 500)
    assert doc == before, "nothing was changed in place"


@KINDS
@given(random=RANDOMS)
@QUICK
def test_owners_as_no_server_would_write_them_do_no_harm(kind: ServedKind, obj: Json, random: Random) -> None:
    sent = mutation.with_managed_fields(random, whole(kind, obj))
    patch = mutation.with_managed_fields(random, whole(kind, obj)) if random.random() < 0.3 else whole(kind, obj)
    if code_of(partial(check_object, sent, kind, "Ignore")) != 200:
        return
    checked, _ = check_object(sent, kind, "Ignore")
    record_update(checked, None, manager="m", subresource="", time=NOW, kind=kind)
    call = partial(
        apply, checked, mutation.text_of(patch), manager="m", force=random.random() < 0.5, kind=kind, now=NOW
    )
    assert code_of(call) in (200, 400, 409, 500)
    new = copy.deepcopy(checked)
    new["metadata"] |= {"labels": {"c": "d"}, "managedFields": sent["metadata"]["managedFields"]}
    assert code_of(partial(record_update, new, checked, manager="m", subresource="", time=NOW, kind=kind)) in (200, 400)


@KINDS
@given(random=RANDOMS)
@QUICK
def test_bodies_are_objects_or_refused(kind: ServedKind, obj: Json, random: Random) -> None:
    text = mutation.text_of(mutation.mutated(random, whole(kind, obj), random.randrange(3)))
    bad = mutation.spoiled(random, text)
    for body, media_type in (
        (text, "application/json"),
        (bad, "application/json"),
        (bad, "application/yaml"),
        (mutation.bomb(random), "application/yaml"),
    ):
        for validation in ("Strict", "Ignore"):
            assert code_of(partial(decode_body, body, media_type, kind, validation)) in (200, 400)


@pytest.mark.parametrize("kind", [CONFIG_MAP, NAMESPACE, SECRET, POD], ids=lambda kind: kind.resource.kind)
@given(random=RANDOMS)
@QUICK
def test_envelopes_are_objects_or_refused(kind: ServedKind, random: Random) -> None:
    body = mutation.envelope(random, kind.resource.kind, kind.resource.api_version)
    assert code_of(partial(decode_body, body, "application/vnd.kubernetes.protobuf", kind, "Strict")) in (200, 400)


WORDS = st.lists(st.sampled_from([*"=!,()<>\\ \0é", "==", "in", "notin", "a", "a/b", "x" * 70]), max_size=12).map(
    "".join
)
NAMED = WORDS | st.sampled_from(SELECTORS) | st.text(max_size=20)


@given(text=NAMED)
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_selectors_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(SelectorError):
        parse_selector(text)
    assert code_of(partial(parse_field_selector, POD, text)) in (200, 400)


@given(token=st.sampled_from(TOKENS) | st.text(max_size=30), raw=st.binary(max_size=30), key=st.text(max_size=10))
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_continue_tokens_are_read_or_refused(token: str, raw: bytes, key: str) -> None:
    packed = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    wrapped = base64.urlsafe_b64encode(b'{"v":"meta.k8s.io/v1","rv":' + raw + b"}").decode().rstrip("=")
    for text in (token, packed, wrapped):
        assert code_of(partial(read_token, text)) in (200, 400, 410)
    if "\0" not in key and key:
        assert read_token(make_token(5, key)) == (5, key + "\0") or ".." in key or "/" in key


@given(
    text=st.lists(st.sampled_from([*"0123456789.+-eE", "Gi", "m", "n", "Ei", "9" * 50, "1e999999999"]), max_size=8).map(
        "".join
    )
)
@settings(QUICK, max_examples=5 * EXAMPLES)
def test_quantities_are_read_or_refused_at_once(text: str) -> None:
    with at_most(PROCESSOR_SECONDS_MAX), contextlib.suppress(QuantityError):
        assert parse_quantity(str(parse_quantity(text))) == parse_quantity(text)


DEEP = {  # the body, the code as JSON, and as YAML: 413 is for too many parts, before the text ends
    "lists": (b"[" * 1_000_000, 413, 400),
    "objects": (b'{"a":' * 500_000, 413, 400),
    "closed": (b'{"metadata":' + b"[" * 100_000 + b"]" * 100_000 + b"}", 400, 400),
    "quotes": (b'{"a":"' + b'\\"' * 500_000, 400, 400),
    "a number": (b'{"a":' + b"1" * 1_000_000 + b"}", 400, 400),
    "an exponent": (b'{"a":1e' + b"9" * 1_000_000 + b"}", 400, 400),
    "the same key": (b"{" + b'"a":1,' * 200_000 + b'"a":1}', 400, 413),
    "many keys": (b"{" + b",".join(b'"%d":1' % number for number in range(100_000)) + b"}", 400, 400),
    "blanks": (b" " * 3_000_000 + b"]", 400, 400),
    "escapes": (b'{"a":"' + b"\\ud800" * 300_000 + b'"}', 400, 400),
}


@pytest.mark.parametrize(("body", "as_json", "as_yaml"), DEEP.values(), ids=DEEP)
def test_megabytes_of_nonsense_are_refused_soon(body: bytes, as_json: int, as_yaml: int) -> None:
    assert code_of(partial(decode_body, body, "application/yaml", CONFIG_MAP, "Strict")) == as_yaml
    assert code_of(partial(decode_body, body, "application/json", CONFIG_MAP, "Strict")) == as_json
    for patch in (json_patch, merge_patch):
        assert code_of(partial(patch, {"metadata": {}}, body)) in (200, 400)
