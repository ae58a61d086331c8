"""Objects as Tables and as metadata alone, for clients that ask for that form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pvbinder.server.api.negotiation import Form, check_shape
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.tables import (
    IncludeObject,
    parse_include_object,
    partial_object_metadata,
    partial_object_metadata_list,
    render_table,
)
from pvbinder.server.kinds.storage import Storage
from pvbinder.server.objects.kind import Json, Subresource, no_conditions, same
from pvbinder.server.objects.schema.registered import internal_type_name
from pvbinder.server.requests import ApiRequest


@dataclass(slots=True)
class Shown:
    """How one request wants its objects shown."""

    api: Api
    storage: Storage
    form: Form
    include_object: IncludeObject

    @classmethod
    def of(cls, api: Api, request: ApiRequest, storage: Storage, form: Form) -> Shown:
        """Read what is asked for; ApiError 400 if ``includeObject`` is none of the known values."""
        values = request.query.get("includeObject")
        include = parse_include_object(values[0] if values else "") if form.shape == "table" else "None"
        return cls(api, storage, form, include)

    def object(self, obj: Json, *, with_columns: bool = True) -> Json:
        """Return one object, in the form in which it is stored, in the agreed form."""
        check_shape(self.form, self._type_name, is_list=False)
        if self.form.shape == "metadata":
            return partial_object_metadata(obj, self.form.version, self.storage.kind.metadata_hides)
        metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return self._table([obj], metadata, with_columns=with_columns)

    def body(self, body: Json, sub: Subresource) -> Json:
        """Return the body of a subresource that has one of its own, in the agreed form."""
        kind = replace(self.storage.kind, columns=sub.columns, from_storage=same, row_conditions=no_conditions)
        return replace(self, storage=Storage(kind, kind)).object(body)

    def list(self, objects: Iterable[Json], metadata: Json) -> Json:
        """Return a list of objects, in the form in which they are stored, in the agreed form."""
        check_shape(self.form, self._type_name, is_list=True)
        if self.form.shape == "metadata-list":
            return partial_object_metadata_list(objects, metadata, self.form.version, self.storage.kind.metadata_hides)
        return self._table(objects, metadata, with_columns=True)

    def _type_name(self) -> str:
        return internal_type_name(self.storage.base)

    def _table(self, objects: Iterable[Json], metadata: Json, *, with_columns: bool) -> Json:
        return render_table(
            self.storage.kind,
            objects,
            metadata,
            self.include_object,
            self.api.objects.clock(),
            version=self.form.version,
            with_columns=with_columns,
        )
