"""The way of a write from an object that came in to the store, in the order of GW-3.

WRITING-1  No other write comes between reading the stored object and handing the new one to the store. For light work
           there is no wait on the way; heavy work is done aside (ASIDE-2), and if the object was written meanwhile, the
           request begins anew (`Overtaken`).
WRITING-2  An answer is given only when the write is durable.
WRITING-3  An update that changes nothing is not written (GW-6); a dry run writes nothing and answers as if it had.
WRITING-4  A write is refused because of what is there only when that is durable: whoever reads next sees it, too.

Create: decode, defaults, managed fields, mutating admission, prepare, validate, validating admission, store.
Update: the same with the revision check before prepare.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from pvbinder.model.errors import PvbinderError
from pvbinder.server.api import admission
from pvbinder.server.api.aside import is_heavy
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.options import WriteOptions, internal_error, parse_revision
from pvbinder.server.errors import (
    ApiError,
    already_exists,
    bad_request,
    conflict,
    invalid,
    is_invalid,
)
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authorization import permit
from pvbinder.server.kinds.storage import Storage, encode, encode_object, encoder_of, plural_as_kind, room_for
from pvbinder.server.kinds.validation.metadata import validate_metadata_create, validate_metadata_update
from pvbinder.server.objects.kind import Json, Subresource
from pvbinder.server.objects.managed_fields import record_update
from pvbinder.server.objects.schema import CATALOGUE
from pvbinder.server.requests import ApiRequest, UserInfo
from pvbinder.server.store import Stored

GENERATED_SUFFIX_CHARACTERS = 5
GENERATED_BASE_CHARACTERS_MAX = 58
GENERATED_TRIES_MAX = 8
_GENERATED_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_NO_USER = UserInfo("")
T = TypeVar("T")


class Overtaken(PvbinderError):  # noqa: N818  (says what happened)
    """Another write came first while heavy work was done aside: begin anew, from what is stored now."""


@dataclass(slots=True)
class Writer:
    """One write request under way: who, with which options, at what time, and the warnings that gather."""

    api: Api
    storage: Storage
    request: ApiRequest
    options: WriteOptions
    now: str
    warnings: list[str] = field(default_factory=list)
    heavy: bool = False  # whether what is done with the object is done aside

    def __post_init__(self) -> None:
        body = self.request.body
        self.heavy = is_heavy(len(body), self.request.headers.get("content-type", ""), body)
        custom = CATALOGUE.customs.get(self.storage.base.schema)
        self.heavy = self.heavy or (custom is not None and custom.is_costly)

    async def aside(self, work: Callable[[], T]) -> T:
        """Do work that needs nothing of the store, aside if it is heavy."""
        if not self.heavy:
            return work()
        return await self.api.aside.run(self.user.name, work, heavy=True, size=len(self.request.body))

    def weigh(self, stored: Stored | None) -> None:
        """Take into account the size of the object that is written to."""
        self.heavy = self.heavy or (stored is not None and is_heavy(len(stored.data)))

    def check_not_overtaken(self, stored: Stored | None, key: str) -> None:
        """Raise Overtaken unless `stored` is still what is there."""
        if self.heavy and self.api.objects.store.head(self.storage.store_name, key) is not stored:
            raise Overtaken("the object was written meanwhile")

    @property
    def user(self) -> UserInfo:
        """Who makes the write."""
        return self.request.user or _NO_USER

    @property
    def manager(self) -> str:
        """Who gets to own the fields: the ``fieldManager``, else the first word of the client's User-Agent."""
        return self.options.field_manager or self.request.headers.get("user-agent", "").partition("/")[0][:128]

    # ---------------------------------------------------------------- create

    async def create(
        self, obj: Json, namespace: str, *, record: bool = True, instead_of: Attributes | None = None
    ) -> bytes:
        """Store a new object, in the form in which it is stored; return its bytes (GW-1 to GW-3).

        `record` is False for an object whose managed fields are right already. `instead_of` is what was asked for and
        allowed where that wasn't a create: then create must be allowed, too (DISPATCH-4).
        """
        put_in_namespace(obj, namespace)
        storage, metadata = self.storage, obj["metadata"]
        if metadata.get("resourceVersion", "0") not in ("", "0"):
            raise internal_error("resourceVersion should not be set on objects to be created")
        generated = not metadata.get("name") and bool(metadata.get("generateName"))
        await self._complete_new(obj, record=record, instead_of=instead_of)
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

    async def _complete_new(self, obj: Json, *, record: bool, instead_of: Attributes | None) -> None:
        base, metadata = self.storage.base, obj["metadata"]
        for name in ("resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"):
            metadata.pop(name, None)
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = self.now
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generate_name(metadata["generateName"])
        if base.generation_at_create is not None:
            metadata["generation"] = base.generation_at_create
        await self.aside(lambda: self._fill_in(obj, None, None, record=record))
        name, namespace = metadata.get("name", ""), metadata.get("namespace")
        on = admission.AdmissionAttributes(base, namespace or "", name, self.user)
        admission.admit(self.api.objects, on, obj)
        await self.aside(lambda: self._check_new(obj))
        if self.heavy:  # the namespace may have gone meanwhile, and what depends on it
            admission.admit(self.api.objects, on, obj)
        if instead_of is not None:
            permit(self.api.authorizer, self.user, replace(instead_of, verb="create"))
        admission.validate(self.api.objects, on, obj)
        self.api.authorizer.guard(self.user, base, obj, None)

    def _check_new(self, obj: Json) -> None:
        base = self.storage.base
        base.prepare_create(obj, self.now)
        errors = validate_metadata_create(base, obj) + self.storage.kind.validate_create(obj)
        if errors:
            raise is_invalid(base.resource, obj["metadata"].get("name", ""), errors)
        self.warnings += base.warnings(obj, None)

    def _fill_in(self, new: Json, old: Json | None, sub: Subresource | None, *, record: bool) -> None:
        """Fill in defaults and note who owns what."""
        self.storage.base.complete(new)
        if record:
            self._record(new, old, sub)

    def _record(self, new: Json, old: Json | None, sub: Subresource | None) -> None:
        """Note who owns what, by the paths of the version through which the write came."""
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

    # ---------------------------------------------------------------- update

    async def update(
        self, stored: Stored, old: Json, new: Json, key: str, sub: Subresource | None, *, record: bool = True
    ) -> bytes:
        """Replace `old` by `new`, both in the form in which they are stored; return the bytes of the answer.

        `sub` is the subresource that is written, None for the object itself.
        """
        storage, store = self.storage, self.api.objects.store
        changed = await self._complete_change(stored, old, new, sub, record=record)
        self.check_not_overtaken(stored, key)
        self._judge(old, changed, sub)
        if self._is_emptied(changed):
            return await self._remove(stored, changed, key)
        changed["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        if changed == old:
            await store.settled(storage.store_name, key)
            return stored.data
        arranged = storage.arrange(changed)
        if self.options.dry_run:
            return encode_object(arranged, room_for(stored))
        written, durable = store.put(storage.store_name, key, encoder_of(arranged, room_for(stored)))
        await durable
        return written.data

    async def _complete_change(
        self, stored: Stored, old: Json, new: Json, sub: Subresource | None, *, record: bool
    ) -> Json:
        before = old["metadata"]
        name = before["name"]
        sent_uid = new["metadata"].get("uid")
        if sent_uid and sent_uid != before["uid"] and self.request.method != "PATCH":  # a patch can't change it
            raise self._other_uid(name, before, sent_uid)
        await self.aside(lambda: self._fill_in(new, old, sub, record=record))
        admission.admit(self.api.objects, self._admission(before, sub), new, old)
        self._check_revision(stored, name, new["metadata"])
        _keep_what_is_fixed(new["metadata"], before)
        await self.aside(lambda: self._check_change(new, old, sub))
        return new

    def _check_change(self, new: Json, old: Json, sub: Subresource | None) -> None:
        base = self.storage.base
        prepare = base.prepare_update if sub is None else sub.prepare_update
        prepare(new, old, self.now)
        generation = base.generation_after(new, old)
        metadata = new["metadata"]
        if generation is None:
            metadata.pop("generation", None)
        else:
            metadata["generation"] = generation
        # twice as in the reference, where the generic part and the kind both check metadata: both causes are shown
        about_metadata = validate_metadata_update(base, new, old)
        errors = about_metadata + about_metadata
        errors += (self.storage.kind if sub is None else sub).validate_update(new, old)
        if errors:
            raise is_invalid(base.resource, old["metadata"]["name"], errors)
        self.warnings += base.warnings(new, old)

    def _judge(self, old: Json, new: Json, sub: Subresource | None) -> None:
        """Ask those who look at other objects, in the turn in which the write is made."""
        admission.validate(self.api.objects, self._admission(old["metadata"], sub), new, old)
        self.api.authorizer.guard(self.user, self.storage.base, new, old)

    def _admission(self, before: Json, sub: Subresource | None) -> admission.AdmissionAttributes:
        base, namespace = self.storage.base, before.get("namespace", "")
        return admission.AdmissionAttributes(base, namespace, before["name"], self.user, sub.name if sub else "")

    def _check_revision(self, stored: Stored, name: str, metadata: Json) -> None:
        """GW-4, GW-5."""
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

    def _other_uid(self, name: str, before: Json, sent: str) -> ApiError:
        resource = self.storage.kind.resource
        where = self.storage.key(before.get("namespace", ""), name)
        root = "" if self.options.dry_run else "/registry"
        return conflict(
            resource,
            name,
            f"StorageError: invalid object, Code: 4, Key: {root}/{resource.plural}/{where}, ResourceVersion: 0, "
            f"AdditionalErrorMsg: Precondition failed: UID in precondition: {sent}, "
            f"UID in object meta: {before['uid']}",
        )

    # ---------------------------------------------------------------- an update that removes

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


def put_in_namespace(obj: Json, namespace: str) -> None:
    """Put `obj` in the namespace of the request (GW-2)."""
    metadata = obj.setdefault("metadata", {})
    sent = metadata.get("namespace", "")
    if sent == namespace:
        return
    if sent and namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    if namespace:
        metadata["namespace"] = namespace
    else:
        del metadata["namespace"]


def generate_name(base: str) -> str:
    """Return a random name that begins with `base` (GW-1)."""
    suffix = "".join(random.choices(_GENERATED_LETTERS, k=GENERATED_SUFFIX_CHARACTERS))  # noqa: S311  (a name, not a secret)
    return base[:GENERATED_BASE_CHARACTERS_MAX] + suffix


def _keep_what_is_fixed(metadata: Json, before: Json) -> None:
    """Put back what an update leaves out or never changes (GW-7)."""
    metadata["uid"] = metadata.get("uid") or before["uid"]
    metadata["resourceVersion"] = before["resourceVersion"]
    metadata["creationTimestamp"] = before["creationTimestamp"]
    metadata.pop("selfLink", None)
    if "deletionTimestamp" in before:
        metadata["deletionTimestamp"] = before["deletionTimestamp"]
    if "deletionGracePeriodSeconds" in before:
        metadata.setdefault("deletionGracePeriodSeconds", before["deletionGracePeriodSeconds"])
    if "generation" in before:
        metadata["generation"] = before["generation"]
