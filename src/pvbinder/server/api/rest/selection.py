"""Which objects a list, a watch or a deletion of a collection is about: label and field selectors together."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from pvbinder.model.selectors import SelectorError, TextSelector, parse_selector
from pvbinder.server.api.rest.options import ListOptions
from pvbinder.server.errors import bad_request
from pvbinder.server.kinds.parts.fields import FieldSelector, parse_field_selector
from pvbinder.server.kinds.storage import Storage


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Metadata


_decode_labels = msgspec.json.Decoder(_Labelled).decode
_decode = msgspec.json.Decoder(dict).decode
_NO_LABELS: dict[str, str] = {}


class Selection:
    """The selection of a list or watch, answered from an object's bytes with as little decoding as possible."""

    __slots__ = ("_fields", "_labels", "everything", "name")

    def __init__(self, labels: TextSelector | None, fields: FieldSelector | None, name: str | None = None) -> None:
        self._labels = labels
        self._fields = fields
        self.name = name if name is not None else fields.name if fields is not None else None
        self.everything = labels is None and fields is None

    def takes(self, data: bytes) -> bool:
        """Tell whether the stored object in `data` is selected."""
        if self._labels is not None and not self._labels.matches(_decode_labels(data).metadata.labels or _NO_LABELS):
            return False
        return self._fields is None or self._fields.matches(_decode(data))


EVERYTHING = Selection(None, None)


def read_selection(storage: Storage, options: ListOptions, name: str = "") -> Selection:
    """Read the selectors of a request; ApiError 400 if one can't be understood. `name` selects that object alone."""
    if not (options.label_selector or options.field_selector or name):
        return EVERYTHING
    labels = _parse_labels(options.label_selector) if options.label_selector.strip() else None
    text = options.field_selector
    if name:
        text = f"metadata.name={name},{text}" if text else f"metadata.name={name}"
    return Selection(labels, parse_field_selector(storage.kind, text) if text else None)


@lru_cache(512)
def _parse_labels(text: str) -> TextSelector:
    try:
        return parse_selector(text)
    except SelectorError as error:
        raise bad_request(error.message) from error
