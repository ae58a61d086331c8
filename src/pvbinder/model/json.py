"""JSON documents as they go over the wire: a write starts from one and ends as one.

Views (`model.objects`) are for reading. A write starts from the object's own bytes, changes what is needed and encodes
again, so that no field is lost that we don't know.
"""

from __future__ import annotations

from typing import Any, TypeAlias, cast

import msgspec

from pvbinder.model.errors import PvbinderError

Json: TypeAlias = dict[str, Any]


class JsonError(PvbinderError):
    """Bytes that should hold a JSON object don't."""


_decoder = msgspec.json.Decoder(dict)
_encoder = msgspec.json.Encoder()


def decode(data: bytes | str) -> Json:
    """Return the JSON object in `data`, or raise `JsonError`."""
    try:
        return cast(Json, _decoder.decode(data))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise JsonError(f"not a JSON object: {error}") from error


def encode(document: object) -> bytes:
    """Return `document` as compact JSON."""
    return _encoder.encode(document)
