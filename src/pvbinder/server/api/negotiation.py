"""In which form an answer goes out: media type, Table or metadata only, pretty or compact.

Two gates as in the reference, which differ in what they refuse and how: first the route (an ``Accept`` that names
nothing served), then the transformation (``as=``, ``g=``, ``v=``) that some clause must allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import msgspec

from pvbinder.server.api.aside import LIGHT_YAML_BYTES_MAX
from pvbinder.server.errors import ApiError
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import ApiRequest, ApiResponse

JSON_TYPE = "application/json"
YAML_TYPE = "application/yaml"
PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
SERVED_TYPES = (JSON_TYPE, YAML_TYPE, PROTOBUF_TYPE)
TRANSFORMED = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")

Shape = Literal["object", "table", "metadata"]

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Form:
    """The agreed form of an answer; `version` is that of a Table or of metadata (``v1``, ``v1beta1``)."""

    media_type: str = JSON_TYPE
    shape: Shape = "object"
    version: str = "v1"


PLAIN = Form()


@lru_cache(256)
def negotiate(accept: str, *, transformable: bool = True) -> Form:
    """Choose the form for an ``Accept`` header ("" when there is none); ApiError 406 if nothing fits.

    We read protobuf but don't write it, so a client that takes protobuf *or* JSON gets JSON.
    """
    if not accept:
        return PLAIN
    clauses = [_Clause.parse(text) for text in accept.split(",")]
    if not any(clause.media_type in ("*/*", *SERVED_TYPES) for clause in clauses):
        raise _not_acceptable()
    for clause in sorted(clauses, key=lambda clause: (-clause.quality, clause.media_type.count("*"))):
        for media_type in (JSON_TYPE, YAML_TYPE):
            if clause.takes(media_type):
                form = clause.form(media_type, transformable)
                if form is not None:
                    return form
    if any(clause.media_type == PROTOBUF_TYPE and "as" not in clause.parameters for clause in clauses):
        why = f"answers are not written as {PROTOBUF_TYPE}: only the following media types are accepted: "
        raise ApiError(406, "NotAcceptable", f"{why}{JSON_TYPE}, {YAML_TYPE}")
    raise ApiError(406, "NotAcceptable", f"only the following media types are accepted: {', '.join(SERVED_TYPES)}")


def form_of_errors(accept: str) -> Form:
    """Choose the form of a Status: as `negotiate`, but never refusing and never transformed."""
    try:
        return Form(negotiate(accept).media_type)
    except ApiError:
        return PLAIN


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
    if pretty is not None:
        return pretty[0].lower() in ("1", "t", "true")
    return request.headers.get("user-agent", "").startswith(("curl", "Wget", "Mozilla/5.0"))


@dataclass(frozen=True, slots=True)
class _Clause:
    media_type: str
    quality: float
    parameters: dict[str, str]

    @classmethod
    def parse(cls, text: str) -> _Clause:
        media_type, *rest = (part.strip() for part in text.split(";"))
        parameters = dict(part.partition("=")[::2] for part in rest)
        try:
            quality = float(parameters.pop("q", "1"))
        except ValueError:
            quality = 1.0
        return cls(media_type, quality, parameters)

    def takes(self, media_type: str) -> bool:
        return self.media_type in (media_type, "*/*", "application/*")

    def form(self, media_type: str, transformable: bool) -> Form | None:
        """Return the form that this clause asks for, or None if that is not to be had."""
        kind = self.parameters.get("as")
        if kind is None:
            return Form(media_type)
        version = self.parameters.get("v", "")
        if (
            not transformable
            or kind not in TRANSFORMED
            or self.parameters.get("g") != "meta.k8s.io"
            or version not in ("v1", "v1beta1")
        ):
            return None
        return Form(media_type, "table" if kind == "Table" else "metadata", version)


def _not_acceptable() -> ApiError:
    available = ", ".join(SERVED_TYPES)
    message = f"406: Not Acceptable\n\nAvailable representations: {available}"
    return ApiError(406, "NotAcceptable", message, details={})


def _to_yaml(data: bytes) -> bytes:
    import yaml  # late: answers in YAML are rare, and the import is slow

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    text: str = yaml.dump(msgspec.json.decode(data), Dumper=dumper, default_flow_style=False, width=1 << 30)
    return text.encode()
