"""Objects as Tables and as metadata alone, for those who ask for that form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from pvbinder.server.errors import bad_request
from pvbinder.server.kinds.kind import Json
from pvbinder.server.requests import ApiRequest
from pvbinder.server.rest.api import Api
from pvbinder.server.rest.negotiation import Form
from pvbinder.server.rest.shelf import Shelf
from pvbinder.server.tables import partial_object_metadata, partial_object_metadata_list, render_table

_INCLUDED = ("", "Metadata", "Object", "None")


@dataclass(slots=True)
class Shown:
    """How one request wants its objects shown."""

    shelf: Shelf
    form: Form
    include_object: str
    now: datetime

    @classmethod
    def of(cls, api: Api, request: ApiRequest, shelf: Shelf, form: Form) -> Shown:
        """Read what is asked for; ApiError 400 if ``includeObject`` is none of the known values."""
        values = request.query.get("includeObject")
        include = values[0] if values else ""
        if form.shape == "table" and include not in _INCLUDED:
            raise bad_request(
                f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
                "must be 'Metadata', 'Object', 'None', or empty"
            )
        return cls(shelf, form, include or "Metadata", api.clock())

    def object(self, obj: Json) -> Json:
        """Return one object in the agreed form."""
        if self.form.shape == "metadata":
            return partial_object_metadata(obj, self.form.version)
        return self._table([obj], {"resourceVersion": obj["metadata"].get("resourceVersion", "")})

    def list(self, objects: Sequence[Json], metadata: Json) -> Json:
        """Return a list in the agreed form."""
        if self.form.shape == "metadata":
            return partial_object_metadata_list(objects, metadata, self.form.version)
        return self._table(objects, metadata)

    def _table(self, objects: Sequence[Json], metadata: Json) -> Json:
        return render_table(
            self.shelf.kind, objects, metadata, self.include_object, self.now, version=self.form.version
        )

    @staticmethod
    def encode(document: Json) -> bytes:
        """Return `document` as compact JSON."""
        return msgspec.json.encode(document)
