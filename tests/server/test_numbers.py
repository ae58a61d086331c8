"""Numbers from text to store and back, in every form of body, against a model of the reference's rules (NUMBERS-1)."""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.server.hostile import APPLY, JSON_PATCH, MERGE, WIDGETS, YAML, with_widgets
from tests.server.serving import JSON, Serving, serving

HEAD = '"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a"}'


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncGenerator[Serving]:
    async with serving(tmp_path) as server:
        await with_widgets()(server)
        yield server


# The model: what the reference keeps of a number, told by its documentation of the decoders. A whole number that was
# written without fraction and exponent and that 64 bits hold stays; all else becomes the nearest double, is written in
# its shortest form and read again by the same rule.

REFUSED = "refused"


def kept_of_json(text: str) -> object:
    """What is read of a number in JSON."""
    if re.fullmatch("-?[0-9]+", text) and len(text) < 21 and -(2**63) <= int(text) < 2**63:
        return int(text)
    double = float(text)
    if double in (float("inf"), float("-inf")):
        return REFUSED
    return kept_of_double(double)


def kept_of_double(double: float) -> object:
    """What is read of a double that was written."""
    bits = struct.unpack("<d", struct.pack("<d", double))[0]
    if bits == int(bits) if abs(bits) < 1e21 else False:
        return int(bits) if -(2**63) <= int(bits) < 2**63 else bits
    return bits


def kept_of_yaml(text: str) -> object:
    """What is read of a plain scalar of these characters in YAML 1.1: a number too large for a double is text."""
    kept = kept_of_json(text)
    return text if kept is REFUSED else kept


NUMBERS = [
    "0", "-0", "1", "-1", "1.0", "-1.0", "-0.0", "1.5", "1e3", "1E3", "1e+3", "1.5e3", "15e-1", "1.50", "0.1",
    "9007199254740993", "9007199254740993.0", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
    "-9223372036854775809", "9223372036854775807.0", "18446744073709551615", "18446744073709551616",
    "100000000000000000000", "1e20", "1e21", "1e22", "123456789012345678901234567890", "1e-7", "1e-400", "4.9e-324",
    "1.7976931348623157e308", "1.7976931348623159e308", "1e308", "1e309", "-1e309", "1e400", "-1e400", "9" * 308,
    "9" * 309,
    "9" * 400, "9" * 401, "9" * 5000, "0." + "1" * 500, "1" + "0" * 308, "0." + "0" * 400 + "1",
]  # fmt: skip

FORMS = {
    "JSON": ("POST", WIDGETS, JSON, "{%s,\"spec\":{\"n\":%s}}", kept_of_json),
    "YAML": ("POST", WIDGETS, YAML, "{%s,\"spec\":{\"n\": %s }}", kept_of_yaml),
    "JSON patch": ("PATCH", f"{WIDGETS}/b", JSON_PATCH, '[{"op":"add","path":"/spec/n","value":%s}]', kept_of_json),
    "merge patch": ("PATCH", f"{WIDGETS}/b", MERGE, '{"spec":{"n":%s}}', kept_of_json),
    "apply": ("PATCH", f"{WIDGETS}/a?fieldManager=m", APPLY, "{%s,\"spec\":{\"n\": %s }}", kept_of_yaml),
}  # fmt: skip


def same(left: object, right: object) -> bool:
    """Whether two numbers are the same and of one kind."""
    return type(left) is type(right) and left == right


async def through(server: Serving, form: str, text: str) -> tuple[object, str]:
    """Send a number; return the stored one, or `REFUSED`, and the message."""
    method, target, content_type, template, _ = FORMS[form]
    if "/b" in target:
        await server.send("POST", WIDGETS, ("{" + HEAD.replace('"a"', '"b"') + ',"spec":{"x":1}}').encode())
    body = (template % (HEAD, text) if template.count("%s") == 2 else template % text).encode()
    reply = await server.send(method, target, body, content_type=content_type)
    name = "b" if "/b" in target else "a"
    try:
        if reply.status >= 400:
            assert reply.status in (400, 422), reply.body
            return REFUSED, reply.message
        read = await server.send("GET", f"{WIDGETS}/{name}")
        assert same(read.body["spec"]["n"], reply.body["spec"]["n"])
        return read.body["spec"]["n"], ""
    finally:
        await server.send("DELETE", f"{WIDGETS}/{name}")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("text", NUMBERS, ids=lambda text: text if len(text) < 40 else f"{text[:8]}… {len(text)}")
async def test_numbers_1_a_number_keeps_its_value_or_is_refused(server: Serving, form: str, text: str) -> None:
    expected = FORMS[form][4](text)
    found, message = await through(server, form, text)

    if expected is REFUSED:
        assert found is REFUSED
        assert f"json: cannot unmarshal number {text} into Go value of type float64" in message
    else:
        assert same(as_read(expected), found)


def as_read(value: object) -> object:
    """The number as msgspec reads its JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,20})?([eE][-+]?[0-9]{1,3})?", fullmatch=True),
    form=st.sampled_from(sorted(FORMS)),
)
async def test_any_number_in_any_form_follows_the_model(server: Serving, text: str, form: str) -> None:
    found, _ = await through(server, form, text)
    assert same(as_read(FORMS[form][4](text)), found)


YAML_NUMBERS: dict[str, Any] = {
    "1.5e3": 1500, "1e3": 1000, ".5": 0.5, "5.": 5, "+1": 1, "+.5": 0.5, "1_000": 1000, "1_000.5": 1000.5, "0x10": 16,
    "0o17": 15, "017": 15, "089": 89, "0b11": 3, "-0x10": -16, "1e400": "1e400", "1.2.3": "1.2.3", "1:30": "1:30",
    "0x": "0x",
    "1e": "1e", "e3": "e3", "--1": "--1", "9223372036854775808": 9223372036854775808.0,
    "0x8000000000000000": 9223372036854775808.0,
}  # fmt: skip


@pytest.mark.parametrize("form", ["YAML", "apply"])
@pytest.mark.parametrize(("text", "value"), YAML_NUMBERS.items(), ids=YAML_NUMBERS.keys())
async def test_numbers_of_yaml_are_those_of_go_yaml(server: Serving, form: str, text: str, value: Any) -> None:
    found, _ = await through(server, form, text)
    assert same(value, found)


@pytest.mark.parametrize("form", ["YAML", "apply"])
@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan"])
async def test_what_json_cannot_say_is_refused(server: Serving, form: str, text: str) -> None:
    found, message = await through(server, form, text)
    assert found is REFUSED
    assert "json: unsupported value" in message


async def test_an_apply_of_the_same_number_in_other_words_changes_nothing(server: Serving) -> None:
    body = "{%s,\"spec\":{\"n\":%s}}"  # fmt: skip
    first = await server.send(
        "PATCH", f"{WIDGETS}/a?fieldManager=m", (body % (HEAD, "1500")).encode(), content_type=APPLY
    )
    again = await server.send(
        "PATCH", f"{WIDGETS}/a?fieldManager=m", (body % (HEAD, "1.5e3")).encode(), content_type=APPLY
    )
    assert (first.status, again.status) == (201, 200)
    assert again.revision == first.revision
