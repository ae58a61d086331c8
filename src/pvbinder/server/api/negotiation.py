"""In which form an answer goes out: media type, Table or metadata only, pretty or compact.

Two gates as in the reference, which differ in what they refuse and how: first the route (an ``Accept`` that names
nothing served), then the transformation (``as=``, ``g=``, ``v=``) that some clause must allow. What a form can't be
made of - a list of metadata of one object - is told when the object is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, Literal, TypeAlias

import msgspec

from pvbinder.model.go_values import parse_bool
from pvbinder.server.api.aside import LIGHT_YAML_BYTES_MAX
from pvbinder.server.errors import ApiError
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import ApiRequest, ApiResponse

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
SERVED_TYPES = (JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE)
_STRING_TAG: Final = "tag:yaml.org,2002:str"
_OLD_BOOLEANS: Final = frozenset("yYnN")  # of YAML 1.1, which others may read as such
_SHAPES: dict[str, Shape] = {
    "Table": "table",
    "PartialObjectMetadata": "metadata",
    "PartialObjectMetadataList": "metadata-list",
}

Shape: TypeAlias = Literal["object", "table", "metadata", "metadata-list"]

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Form:
    """The agreed form of an answer; `version` is that of a Table or of metadata (``v1``, ``v1beta1``)."""

    media_type: str = JSON_TYPE
    shape: Shape = "object"
    version: str = "v1"


PLAIN = Form()


@dataclass(frozen=True, slots=True)
class Clause:
    """One part of an ``Accept`` header."""

    type: str
    subtype: str
    quality: float
    parameters: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> Clause | None:
        """Read a clause; None for what is none."""
        media_type, *rest = text.strip().split(";")
        kind, slash, subtype = media_type.partition("/")
        if not subtype:
            if kind.strip() != "*" or slash:
                return None
            subtype = "*"
        elif "/" in subtype:
            return None
        parameters: dict[str, str] = {}
        quality = 1.0
        for part in rest:
            name, _, value = part.partition("=")
            if not value or "=" in value:
                continue
            if name.strip() == "q":
                quality = _quality(value)
            else:
                parameters[name.strip()] = value.strip()
        return cls(kind.strip(), subtype.strip(), quality, parameters)

    @property
    def media_type(self) -> str:
        """The type and the subtype."""
        return f"{self.type}/{self.subtype}"

    def takes(self, media_type: str) -> bool:
        """Say whether the clause takes a served media type."""
        return self.media_type in (media_type, "*/*", "application/*")

    @property
    def asks_for_conversion(self) -> bool:
        """Whether the clause asks for another form than the object itself."""
        return not self.parameters.keys().isdisjoint(("as", "g", "v"))

    def form(self, media_type: str, *, transformable: bool) -> Form | None:
        """Return the form that this clause asks for, or None if that is not to be had."""
        asked = self.parameters
        if asked.get("stream", "watch") not in ("", "watch") or asked.get("sv", "v1") not in ("", "v1"):
            return None
        if not self.asks_for_conversion:
            return Form(media_type)
        shape, version = _SHAPES.get(asked.get("as", "")), asked.get("v", "")
        is_meta = asked.get("g") == "meta.k8s.io" and version in ("v1", "v1beta1")
        return Form(media_type, shape, version) if transformable and is_meta and shape is not None else None


def clauses_of(accept: str) -> list[Clause]:
    """Read an ``Accept`` header; the clause to try first comes first, as the reference orders them.

    Its order isn't one in the mathematical sense (a lower quality can come before a star), so its way of sorting
    counts.
    """
    clauses = [clause for clause in map(Clause.parse, accept.split(",")) if clause is not None]
    for index in range(1, len(clauses)):
        position = index
        while position and _comes_before(clauses[position], clauses[position - 1]):
            clauses[position - 1 : position + 1] = clauses[position], clauses[position - 1]
            position -= 1
    return clauses


def _comes_before(one: Clause, other: Clause) -> bool:
    return (
        one.quality > other.quality
        or (one.type != "*" and other.type == "*")
        or (one.subtype != "*" and other.subtype == "*")
    )


def _quality(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


STREAM_TYPES = (f"{JSON_TYPE};stream=watch", f"{PROTOBUF_TYPE};stream=watch")


@lru_cache(256)
def negotiate(accept: str, *, transformable: bool = True, streams: bool = False) -> Form:
    """Choose the form for an ``Accept`` header ("" when there is none); ApiError 406 if nothing fits.

    A path that can be watched has `streams`, which are named among what it offers.
    We read protobuf but don't write it, so a client that takes protobuf *or* JSON gets JSON.
    """
    if not accept:
        return PLAIN
    check_route(accept, SERVED_TYPES + STREAM_TYPES if streams else SERVED_TYPES)
    takes_protobuf = False
    for clause in clauses_of(accept):
        for media_type in (JSON_TYPE, YAML_TYPE):
            if clause.takes(media_type):
                form = clause.form(media_type, transformable=transformable)
                if form is not None:
                    return form
        takes_protobuf = takes_protobuf or (clause.media_type == PROTOBUF_TYPE and not clause.asks_for_conversion)
    if takes_protobuf:
        why = f"answers are not written as {PROTOBUF_TYPE}: only the following media types are accepted: "
        raise ApiError(406, "NotAcceptable", f"{why}{JSON_TYPE}, {YAML_TYPE}")
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(SERVED_TYPES)}")


def check_route(accept: str, served: Sequence[str] = SERVED_TYPES) -> None:
    """Raise ApiError 406 for an ``Accept`` header that names nothing `served`, whatever its parameters."""
    named = {clause.partition(";")[0].strip(" ") for clause in accept.split(",")}
    if named.isdisjoint(("*/*", *served)):
        available = ", ".join(served)
        message = f"406: Not Acceptable\n\nAvailable representations: {available}"
        raise ApiError(406, "NotAcceptable", message, details={})


def form_of_errors(accept: str) -> Form:
    """Choose the form of a Status: as `negotiate`, but never refusing and never transformed."""
    try:
        return negotiate(accept, transformable=False)
    except ApiError:
        return PLAIN


def check_shape(form: Form, type_name: Callable[[], str], *, is_list: bool) -> None:
    """Raise ApiError 406 where metadata of a list is asked for, or a list of the metadata of one object."""
    if form.shape == "metadata" and is_list:
        raise ApiError(
            406,
            "NotAcceptable",
            f"you requested PartialObjectMetadata, but the requested object is a list ({type_name()}List)",
        )
    if form.shape == "metadata-list" and not is_list:
        raise ApiError(
            406,
            "NotAcceptable",
            f"you requested PartialObjectMetadataList, but the requested object is not a list ({type_name()})",
        )


def respond(request: ApiRequest, status: int, document: Json, media_type: str = JSON_TYPE) -> ApiResponse:
    """Answer with `document` in the agreed media type."""
    return respond_bytes(request, status, _encoder.encode(document), media_type)


def respond_bytes(request: ApiRequest, status: int, data: bytes, media_type: str = JSON_TYPE) -> ApiResponse:
    """Answer with a JSON document that is encoded already, whether it ends its line or not."""
    if media_type == YAML_TYPE:
        if len(data) > LIGHT_YAML_BYTES_MAX:
            return ApiResponse(status, b"", {"Content-Type": YAML_TYPE}, finish=lambda: _to_yaml(data))
        return ApiResponse(status, _to_yaml(data), {"Content-Type": YAML_TYPE})
    if is_pretty(request):
        data = msgspec.json.format(data.rstrip(b"\n"), indent=2)
    elif not data.endswith(b"\n"):
        data += b"\n"
    return ApiResponse(status, data, {"Content-Type": JSON_TYPE})


def is_pretty(request: ApiRequest) -> bool:
    """Tell whether JSON is to be indented: when asked for, and for browsers and the like unless asked not to."""
    pretty = request.query.get("pretty")
    if pretty is not None and pretty[0]:
        return parse_bool(pretty[0]) is True
    if "pretty" in request.headers.get("accept", "") and _asks_for_pretty(request.headers["accept"]):
        return True
    return request.headers.get("user-agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))


def _asks_for_pretty(accept: str) -> bool:
    first = next((one for one in clauses_of(accept) if one.takes(JSON_TYPE)), None)
    return first is not None and first.parameters.get("pretty") == "1"


@cache
def _yaml_dumper() -> Any:
    """A dumper that quotes strings as the reference does."""
    import yaml  # late: answers in YAML are rare, and the import is slow

    def represent(dumper: Any, text: str) -> Any:
        style = None
        if "\n" in text:
            style = "|"
        elif text in _OLD_BOOLEANS or dumper.resolve(yaml.ScalarNode, text, (True, False)) != _STRING_TAG:
            style = '"'
        return dumper.represent_scalar(_STRING_TAG, text, style=style)

    base = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    dumper = type("Dumper", (base,), {})
    dumper.add_representer(str, represent)  # type: ignore[attr-defined]
    return dumper


def _to_yaml(data: bytes) -> bytes:
    import yaml

    text: str = yaml.dump(msgspec.json.decode(data), Dumper=_yaml_dumper(), default_flow_style=False, width=1 << 30)
    return text.encode()


def error_response(request: ApiRequest, error: ApiError) -> ApiResponse:
    """Answer with the Status of `error`."""
    form = form_of_errors(request.headers.get("accept", ""))
    response = respond(request, error.code, error.status(), form.media_type)
    if response.finish is not None:  # an error of this size is of somebody who wanted it so
        response.body, response.finish = response.finish(), None
    response.headers.update(error.headers)
    return response
