"""One write under way: its body decoded, made whole, judged and handed to the store, in the order of GW-3.

WRITING-1  No other write comes between reading the stored object and handing the new one to the store. For light work
           there is no wait on the way; heavy work is done aside (ASIDE-2), and if the object was written meanwhile, the
           request begins anew (`Overtaken`). Before that, a new pod may wait for its account (POD_ACCOUNTS-1).
WRITING-2  An answer is given only when the write is durable.
WRITING-3  An update that changes nothing is not written (GW-6); a dry run writes nothing and answers as if it had.
WRITING-4  A write is refused because of what is there only when that is durable: whoever reads next sees it, too.

A new object (`store_new`): defaults, managed fields, mutating admission, prepare, validate, validating admission, the
store. A changed one (`store_change`): the same with the revision check before prepare. Each verb decodes its body and
calls one of the two.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from msgspec.structs import replace

from pvbinder.model.errors import PvbinderError
from pvbinder.server.api import admission
from pvbinder.server.api.aside import is_heavy
from pvbinder.server.api.negotiation import Form, negotiate
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.object_meta import keep_what_is_fixed, put_in_namespace
from pvbinder.server.api.rest.options import (
    OptionsKind,
    WriteOptions,
    internal_error,
    is_revision,
    parse_revision,
    read_write_options,
)
from pvbinder.server.api.rest.read import answer_object
from pvbinder.server.api.rest.reviewed import ask_about, review_write
from pvbinder.server.errors import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    invalid,
    is_forbidden,
    is_invalid,
    not_found,
)
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authorization import permit
from pvbinder.server.kinds.parts.generated_names import generate_name
from pvbinder.server.kinds.storage import Storage, encode, encode_object, encoder_of, plural_as_kind, room_for
from pvbinder.server.kinds.validation.metadata import (
    validate_metadata_create,
    validate_metadata_of_every_kind,
    validate_metadata_update,
    validate_metadata_update_of_every_kind,
)
from pvbinder.server.objects.apply import apply_with_warnings
from pvbinder.server.objects.kind import Json, ServedKind, Subresource
from pvbinder.server.objects.managed_fields import record_update
from pvbinder.server.objects.patches import PatchType, apply_patch
from pvbinder.server.objects.schema import CATALOGUE, decode_body
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo
from pvbinder.server.store import Stored

GENERATED_TRIES_MAX = 8
_REPEATED_OWNERS = (
    ".metadata.ownerReferences contains duplicate entries{}; API server dedups owner references in 1.20+, and may "
    "reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}"
)
_NO_USER = UserInfo("")
T = TypeVar("T")


class Overtaken(PvbinderError):  # noqa: N818  (says what happened)
    """Another write came first while heavy work was done aside: begin anew, from the stored object."""


@dataclass(slots=True)
class WriteRequest:
    """A POST, PUT or PATCH under way: what it is about, its options, its time, and the warnings that gather."""

    api: Api
    request: ApiRequest
    attributes: Attributes
    storage: Storage
    options: WriteOptions
    form: Form  # of the answer
    now: str
    heavy: bool = False  # whether what is done with the object is done aside

    @classmethod
    def read(
        cls,
        api: Api,
        request: ApiRequest,
        attributes: Attributes,
        storage: Storage,
        options: OptionsKind,
        *,
        is_apply: bool = False,
    ) -> WriteRequest:
        """Read what is asked for besides the body; ApiError 400 or 406 if it can't be."""
        form = negotiate(request.headers.get("accept", ""))
        asked = read_write_options(options, request.query, is_apply=is_apply)
        return cls(api, request, attributes, storage, asked, form, api.objects.now())

    def __post_init__(self) -> None:
        body = self.request.body
        self.heavy = is_heavy(len(body), self.request.headers.get("content-type", ""), body)
        custom = CATALOGUE.customs.get(self.storage.base.schema)
        self.heavy = self.heavy or (custom is not None and custom.is_costly)

    @property
    def namespace(self) -> str:
        """The namespace of the object; ``""`` for kinds that have none."""
        return self.attributes.namespace if self.storage.kind.resource.namespaced else ""

    @property
    def key(self) -> str:
        """The key of the object that the path names."""
        return self.storage.key(self.attributes.namespace, self.attributes.name)

    @property
    def user(self) -> UserInfo:
        """The user of the write."""
        return self.request.user or _NO_USER

    @property
    def warnings(self) -> list[str]:
        """The warnings that have gathered, in the order in which they came up; a refusal has them, too."""
        return self.request.warnings

    @property
    def manager(self) -> str:
        """The field manager of the write: the ``fieldManager``, else the first word of the client's User-Agent."""
        agent = self.request.headers.get("user-agent", "").partition("/")[0][:128]
        return self.options.field_manager or agent or "unknown"

    # ---------------------------------------------------------------- what came in, what is there, what goes out

    async def decode(self, kind: ServedKind) -> Json:
        """Return the body, an object of `kind`."""
        request, validation = self.request, self.options.field_validation
        content_type = request.headers.get("content-type", "")
        obj, warnings = await self.aside(lambda: decode_body(request.body, content_type, kind, validation))
        self.warnings.extend(warnings)
        return obj

    async def patched(self, before: Json, kind: ServedKind, patch_type: PatchType) -> Json:
        """Return what the patch in the body makes of `before`."""
        body, validation = self.request.body, self.options.field_validation
        obj, warnings = await self.aside(lambda: apply_patch(before, body, patch_type, kind, validation))
        self.warnings.extend(warnings)
        return obj

    async def applied(self, before: Json | None, kind: ServedKind, sub: Subresource | None) -> Json:
        """Return what applying the body makes of `before`, with its managed fields."""
        options = self.options
        obj, warnings = await self.aside(
            lambda: apply_with_warnings(
                before,
                self.request.body,
                options.field_validation,
                manager=options.field_manager,
                force=bool(options.force),
                kind=kind,
                now=self.now,
                subresource=sub.name if sub else "",
            )
        )
        self.warnings.extend(warnings)
        return obj

    def check_identity(self, obj: Json) -> None:
        """Refuse an object that names another than the path does, or none; put it in its namespace (GW-2)."""
        name = self.attributes.name
        if not obj.setdefault("metadata", {}).get("name", ""):
            raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
        self.check_name(obj)
        put_in_namespace(obj, self.namespace)

    def check_name(self, obj: Json) -> None:
        """Refuse an object that names another than the path does; it needn't name any."""
        sent, name = obj.get("metadata", {}).get("name", ""), self.attributes.name
        if sent and sent != name:
            raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({name})")

    def find(self) -> Stored | None:
        """Return the object that the path names, as the next write sees it."""
        return self.api.objects.store.head(self.storage.store_name, self.key)

    def find_there(self) -> Stored:
        """Return the object that the path names; ApiError 404 if there is none."""
        stored = self.find()
        if stored is None:
            raise not_found(self.storage.kind.resource, self.attributes.name)
        return stored

    def answer(self, data: bytes, status: int = 200) -> ApiResponse:
        """Answer with a stored object."""
        return answer_object(self.api, self.request, self.storage, data, self.form, status)

    # ---------------------------------------------------------------- heavy work

    async def aside(self, work: Callable[[], T]) -> T:
        """Do work that needs nothing of the store, aside if it is heavy."""
        if not self.heavy:
            return work()
        return await self.api.aside.run(self.user.name, work, heavy=True, size=len(self.request.body))

    def weigh(self, stored: Stored | None) -> None:
        """Take into account the size of the object that is written to."""
        self.heavy = self.heavy or (stored is not None and is_heavy(len(stored.data)))

    def check_not_overtaken(self, stored: Stored | None) -> None:
        """Raise Overtaken unless `stored` is still what is there."""
        if self.find() is not stored:
            raise Overtaken("the object was written meanwhile")

    # ---------------------------------------------------------------- a new object

    async def store_new(self, obj: Json, *, record: bool = True) -> bytes:
        """Store a new object, in the form in which it is stored; return its bytes (GW-1 to GW-3).

        `record` is False for an object whose managed fields are right already.
        """
        namespace = self.namespace
        put_in_namespace(obj, namespace)
        storage, metadata = self.storage, obj["metadata"]
        if storage.kind.refuses_new:
            raise is_forbidden(storage.kind.resource, metadata.get("name", ""), storage.kind.refuses_new)
        if self.attributes.verb == "create" and is_revision(metadata.get("resourceVersion", "")):
            raise internal_error("resourceVersion should not be set on objects to be created")
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        await self._complete_new(obj, record=record)
        arranged = storage.arrange(obj)
        key = storage.key(namespace, arranged["metadata"].get("name", ""))
        existing = self.api.objects.store.head(storage.store_name, key)
        tries = 1
        while existing is not None and generated and tries < GENERATED_TRIES_MAX:
            arranged["metadata"]["name"] = generate_name(metadata["generateName"])
            key = storage.key(namespace, arranged["metadata"]["name"])
            existing = self.api.objects.store.head(storage.store_name, key)
            tries += 1
        if existing is not None:
            raise self._taken(existing, arranged["metadata"]["name"])
        if self.options.dry_run:
            del arranged["metadata"]["resourceVersion"]
            return encode_object(arranged)
        stored, durable = self.api.objects.store.put(storage.store_name, key, encoder_of(arranged))
        await durable
        return stored.data

    async def _complete_new(self, obj: Json, *, record: bool) -> None:
        base, metadata = self.storage.base, obj["metadata"]
        for name in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            metadata.pop(name, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generate_name(metadata["generateName"])
        if base.generation_at_create is not None:
            metadata["generation"] = base.generation_at_create
        self._drop_repeated_owners(obj, is_sent=True)
        await self.aside(lambda: self._fill_in(obj, None, None, record=record))
        name, namespace = metadata.get("name", ""), metadata.get("namespace")
        review = self._review("CREATE", namespace or "", name)
        on = admission.AdmissionAttributes(
            base, namespace or "", name, self.user, disabled=self.api.disabled_plugins, review=review
        )
        await admission.wait_for_default_account(self.api.objects, on, obj)
        await admission.prepare(self.api.objects, on)
        admission.admit(self.api.objects, on, obj)
        self._drop_repeated_owners(obj, is_sent=False)
        await self.aside(lambda: self._check_new(obj))
        if self.heavy:  # the namespace may have gone meanwhile
            admission.admit(self.api.objects, on, obj)
        if self.attributes.verb != "create":  # an update or an apply that turns out to create (DISPATCH-4)
            permit(self.api.authorizer, self.user, replace(self.attributes, verb="create"))
        try:
            admission.validate(self.api.objects, on, obj)
        except admission.PoliciesTakeLongError as long:
            await long.finish(self.api.aside, self.user.name)
            admission.admit(self.api.objects, on, obj)  # the namespace may have gone meanwhile
            admission.validate(self.api.objects, on, obj)
        self.api.guard(self.user, base, obj, None)

    def _check_new(self, obj: Json) -> None:
        base = self.storage.base
        base.prepare_create(obj, self.now)
        errors = validate_metadata_create(base, obj) + self.storage.kind.validate_create(obj)
        errors = errors or validate_metadata_of_every_kind(base, obj)
        if errors:
            raise is_invalid(base.resource, obj["metadata"].get("name", ""), errors)
        self._warn(obj, None)

    def _warn(self, new: Json, old: Json | None) -> None:
        """Gather what the kind has to say, and the version of it through which the write comes."""
        base, kind = self.storage.base, self.storage.kind
        self.warnings.extend(base.warnings(new, old))
        if kind is not base:
            self.warnings.extend(kind.warnings(new, old))

    def _fill_in(self, new: Json, old: Json | None, sub: Subresource | None, *, record: bool) -> None:
        """Fill in defaults and record the owners of fields."""
        self.storage.base.complete(new)
        if record:
            self._record(new, old, sub)

    def _drop_repeated_owners(self, obj: Json, *, is_sent: bool) -> None:
        """Drop owners that are named twice, and say so: as sent (a patch isn't), and after admission (OM-8)."""
        owners = obj["metadata"].get("ownerReferences")
        if not owners or (is_sent and self.request.method == "PATCH"):
            return
        kept: dict[bytes, Json] = {}
        repeated: list[str] = []
        for owner in owners:
            key = encode(dict(sorted(owner.items())))
            if key in kept:
                repeated.append(str(owner.get("uid") or ""))
            else:
                kept[key] = owner
        if repeated:
            obj["metadata"]["ownerReferences"] = list(kept.values())
            when = "" if is_sent else " after mutating admission happens"
            self.warnings.append(_REPEATED_OWNERS.format(when, ", ".join(repeated)))

    def _record(self, new: Json, old: Json | None, sub: Subresource | None) -> None:
        """Record the owners of fields, by the paths of the version through which the write came."""
        kind = self.storage.kind
        shown, before = kind.from_storage(new), None if old is None else kind.from_storage(old)
        on = sub.name if sub else ""
        record_update(shown, before, manager=self.manager, subresource=on, time=self.now, kind=kind)
        entries = shown["metadata"].get("managedFields")
        if entries is None:
            new["metadata"].pop("managedFields", None)
        else:
            new["metadata"]["managedFields"] = entries

    def _taken(self, existing: Stored, name: str) -> ApiError:
        error = already_exists(self.storage.kind.resource, name)
        if "deletionTimestamp" in self.storage.decode(existing.data)["metadata"]:
            return ApiError(409, error.reason, f"object is being deleted: {error.message}", details=error.details)
        return error

    # ---------------------------------------------------------------- a changed object

    async def store_change(
        self, stored: Stored, old: Json, new: Json, sub: Subresource | None, *, record: bool = True
    ) -> bytes:
        """Replace `old` by `new`, both in the form in which they are stored; return the bytes of the answer.

        `sub` is the subresource that is written, None for the object itself.
        """
        storage, store, key = self.storage, self.api.objects.store, self.key
        on = self._admission(old["metadata"], sub)
        changed = await self._complete_change(stored, old, new, sub, on, record=record)
        self.check_not_overtaken(stored)
        try:
            self._judge(old, changed, on)
        except admission.PoliciesTakeLongError as long:
            await long.finish(self.api.aside, self.user.name)
            self.check_not_overtaken(stored)
            self._judge(old, changed, on)
        if self._is_emptied(changed):
            return await self._remove(stored, changed, key)
        changed["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if storage.base.stored_form(changed) == old:
            await store.settled(storage.store_name, key)
            return stored.data
        arranged = storage.arrange(changed)
        if self.options.dry_run:
            return encode_object(arranged, room_for(stored))
        written, durable = store.put(storage.store_name, key, encoder_of(arranged, room_for(stored)))
        await durable
        return written.data

    async def _complete_change(
        self,
        stored: Stored,
        old: Json,
        new: Json,
        sub: Subresource | None,
        on: admission.AdmissionAttributes,
        *,
        record: bool,
    ) -> Json:
        before = old["metadata"]
        name = before["name"]
        sent_uid = new["metadata"].get("uid")
        if sent_uid and sent_uid != before["uid"] and self.request.method != "PATCH":  # a patch can't change it
            raise self.failed_precondition("UID", sent_uid, before["uid"])
        self._drop_repeated_owners(new, is_sent=True)
        await self.aside(lambda: self._fill_in(new, old, sub, record=record))
        await admission.prepare(self.api.objects, on)
        admission.admit(self.api.objects, on, new, old)
        self._drop_repeated_owners(new, is_sent=False)
        self._check_revision(stored, name, new["metadata"])
        keep_what_is_fixed(new["metadata"], before)
        await self.aside(lambda: self._check_change(new, old, sub))
        return new

    def _check_change(self, new: Json, old: Json, sub: Subresource | None) -> None:
        base = self.storage.base
        prepare = base.prepare_update if sub is None else sub.prepare_update
        prepare(new, old, self.now)
        generation: int | None = old["metadata"].get("generation")
        if sub is None or not (sub.is_direct or sub.name == "status"):
            generation = base.generation_after(new, old)
        metadata = new["metadata"]
        if generation is None:
            metadata.pop("generation", None)
        else:
            metadata["generation"] = generation
        judge = self.storage.kind if sub is None else sub
        errors = validate_metadata_update_of_every_kind(base, new, old)
        errors += validate_metadata_update(base, new, old, judge.metadata_checks)
        errors += judge.validate_update(new, old)
        if errors:
            raise is_invalid(base.resource, old["metadata"]["name"], errors)
        if sub is None:
            self._warn(new, old)
        else:
            self.warnings.extend(sub.warnings(new, old))

    def _judge(self, old: Json, new: Json, on: admission.AdmissionAttributes) -> None:
        """Ask admission, in the turn in which the write is made."""
        admission.validate(self.api.objects, on, new, old)
        self.api.guard(self.user, self.storage.base, new, old)

    def _admission(self, before: Json, sub: Subresource | None) -> admission.AdmissionAttributes:
        base, namespace, name = self.storage.base, before.get("namespace", ""), before["name"]
        is_posted = sub is not None and sub.verbs == ("create",)
        review = None if is_posted else self._review("UPDATE", namespace, name, sub)
        part, disabled, may = sub.name if sub else "", self.api.disabled_plugins, self.api.may(self.user)
        return admission.AdmissionAttributes(base, namespace, name, self.user, part, disabled, review, may)

    def _review(
        self, operation: admission.AdmissionOperation, namespace: str, name: str, sub: Subresource | None = None
    ) -> admission.PolicyReview | None:
        of, asked = (self.api, self.storage), (self.user, self.options, self.request.query)
        return review_write(
            of, operation, (namespace, name), asked, self.request.warnings, sub=sub, is_heavy=self.heavy
        )

    async def judge_posted(self, body: Json, sub: Subresource) -> None:
        """Ask the policies about what is posted to a subresource (REVIEWED-2)."""
        review = self._review("CREATE", self.namespace, self.attributes.name, sub)
        if review is not None:
            await ask_about(review, body, self.api.aside, self.user.name)

    def _check_revision(self, stored: Stored, name: str, metadata: Json) -> None:
        """Raise ApiError if the revision that was sent isn't that of the stored object (GW-4, GW-5)."""
        resource = self.storage.kind.resource
        try:
            revision = parse_revision(metadata.get("resourceVersion", ""))
        except ValueError as error:
            raise internal_error(str(error)) from error
        if revision == 0:
            if self.storage.base.put_needs_revision:
                wrong = invalid("metadata.resourceVersion", 0, "must be specified for an update")
                raise is_invalid(plural_as_kind(resource), name, [wrong])
        elif revision != stored.revision:
            raise conflict(resource, name)

    def failed_precondition(self, what: str, wanted: str, there: str) -> ApiError:
        """409 of a write that is meant for another object than the one that is there."""
        resource = self.storage.kind.resource
        root = "" if self.options.dry_run else "/registry"
        return conflict(
            resource,
            self.attributes.name,
            f"StorageError: invalid object, Code: 4, Key: {root}/{resource.plural}/{self.key}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: {what} in precondition: {wanted}, "
            f"{what} in object meta: {there}",
        )

    # ---------------------------------------------------------------- a change that removes

    def _is_emptied(self, obj: Json) -> bool:
        """DE-4: a deleted object that nothing holds any more."""
        metadata = obj["metadata"]
        return (
            "deletionTimestamp" in metadata
            and not metadata.get("finalizers")
            and not metadata.get("deletionGracePeriodSeconds")
            and not self.storage.base.is_held(obj)
        )

    async def _remove(self, stored: Stored, last: Json, key: str) -> bytes:
        """Remove the object; the answer shows it as sent, at the revision at which it was."""
        last["metadata"]["resourceVersion"] = str(stored.revision)
        answer = encode(self.storage.arrange(last))
        if not self.options.dry_run:
            _, durable = self.api.objects.store.delete(self.storage.store_name, key)
            await durable
        return answer
