"""DELETE of an object and of a collection (DE-1 to DE-7)."""

from __future__ import annotations

from asyncio import Future
from dataclasses import replace
from datetime import datetime

from pvbinder.server.api import admission
from pvbinder.server.api.aside import is_heavy
from pvbinder.server.api.negotiation import negotiate, respond
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.options import DeleteOptions, read_delete_options, read_list_options
from pvbinder.server.api.rest.read import answer_list, answer_object, select
from pvbinder.server.api.rest.reviewed import review_deletion
from pvbinder.server.api.rest.selection import read_selection
from pvbinder.server.api.rest.turns import in_turns
from pvbinder.server.errors import ApiError, conflict, not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage, encode, encoder_of
from pvbinder.server.objects.go_text import seconds_of
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import ApiRequest, ApiResponse, UserInfo
from pvbinder.server.store import Stored

ORPHAN = "orphan"
FOREGROUND = "foregroundDeletion"
REVIEWS_MAX = 5  # while others write to the object
_NO_USER = UserInfo("")


async def delete(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Answer a DELETE of one object."""
    form = negotiate(request.headers.get("accept", ""))
    options = read_delete_options(request.query, request.body, request.headers.get("content-type", ""))
    deletion = Deletion(api, storage, options, request.user or _NO_USER, request.warnings)
    if storage.converts and form.shape == "object" and (stored := deletion.find(attributes.namespace, attributes.name)):
        storage.answer(stored.data)  # what can't be shown isn't deleted (CONVERSION-1)
    data, removed = await deletion.carry_out(attributes.namespace, attributes.name, attributes.name)
    await deletion.settle()
    if removed and not storage.base.delete_returns_object:
        return respond(request, 200, _success(storage, data), form.media_type)
    return answer_object(api, request, storage, data, form)


async def delete_collection(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Answer a DELETE of a collection: with the objects as they were before."""
    form = negotiate(request.headers.get("accept", ""))
    list_options = read_list_options(request.query, is_watch=False)
    options = read_delete_options(request.query, request.body, request.headers.get("content-type", ""))
    user = request.user or _NO_USER
    selection = read_selection(storage, list_options)
    items, metadata = await select(api, attributes.namespace, storage, list_options, selection, user.name)
    deletion = Deletion(api, storage, options, user, request.warnings)
    if storage.converts and form.shape == "object":
        async for _, stored in in_turns(items):
            storage.answer(stored.data)  # as above
    async for _, stored in in_turns(items):
        identity = storage.decode(stored.data)["metadata"]
        try:
            await deletion.carry_out(identity.get("namespace", ""), identity["name"])
        except ApiError as error:
            if error.code != 404:  # somebody else was faster
                raise
    await deletion.settle()
    return await answer_list(api, request, storage, items, metadata, form)


class Deletion:
    """A DELETE request under way, of one object or of several."""

    def __init__(
        self, api: Api, storage: Storage, options: DeleteOptions, user: UserInfo, warnings: list[str] | None = None
    ) -> None:
        self._api = api
        self._storage = storage
        self._options = options
        self._user = user
        self._pending: list[Future[None]] = []
        self._unchanged: list[str] = []
        self._warnings = warnings  # what policies say; None: they have had their say already
        self._asked_name = ""
        self._review: tuple[Stored, admission.PolicyReview | None] | None = None
        warning = storage.base.deletion_warning
        if warning and warnings is not None and options.propagation_policy is None:
            warnings.append(warning)

    async def carry_out(self, namespace: str, name: str, asked_name: str = "") -> tuple[bytes, bool]:
        """Delete an object as `start` does; the policies have the time that they take (REVIEW-2).

        `asked_name` is the name in the request, which a deletion of several doesn't have.
        """
        self._asked_name = asked_name
        for _ in range(REVIEWS_MAX):
            try:
                return self.start(namespace, name)
            except admission.PoliciesTakeLongError as long:
                await long.finish(self._api.aside, self._user.name)
        raise conflict(self._storage.kind.resource, name)

    async def settle(self) -> None:
        """Wait until everything that the answer says is durable (WRITING-2)."""
        for durable in self._pending:
            await durable
        for key in self._unchanged:
            await self._api.objects.store.settled(self._storage.store_name, key)

    def find(self, namespace: str, name: str) -> Stored | None:
        """Return the object, as the next write sees it."""
        storage = self._storage
        return self._api.objects.store.head(storage.store_name, storage.key(namespace, name))

    def check(self, namespace: str, name: str) -> tuple[Stored, Json]:
        """Return the object if it may be deleted; raise ApiError otherwise."""
        storage = self._storage
        stored = self.find(namespace, name)
        if stored is None:
            raise not_found(storage.kind.resource, name)
        obj = storage.decode(stored.data)
        self._check_preconditions(obj)
        review = None if self._warnings is None else self._reviewed(stored, namespace, self._warnings)
        admission.admit_delete(
            admission.AdmissionAttributes(storage.base, namespace, name, self._user, review=review), obj
        )
        return stored, obj

    def _reviewed(self, stored: Stored, namespace: str, warnings: list[str]) -> admission.PolicyReview | None:
        """Return the review of the deletion of `stored`: the one that has begun, as long as it is about that object."""
        if self._review is None or self._review[0] is not stored:
            where = (namespace, self._asked_name)
            review = review_deletion(
                self._api,
                self._storage,
                where,
                self._user,
                self._options,
                warnings,
                is_heavy=is_heavy(len(stored.data)),
            )
            self._review = (stored, review)
        return self._review[1]

    def start(self, namespace: str, name: str) -> tuple[bytes, bool]:
        """Delete an object, or mark it as being deleted; return what to show of it, and whether it is gone."""
        storage = self._storage
        key = storage.key(namespace, name)
        stored, obj = self.check(namespace, name)
        if storage.base.terminate is not None:
            return self._terminate(stored, obj, key)
        grace = self._grace(obj)
        if grace is None and _is_waiting_for_grace(obj):
            self._unchanged.append(key)
            return stored.data, False
        self._set_propagation(obj)
        metadata = obj["metadata"]
        is_held = bool(metadata.get("finalizers")) or storage.base.is_held(obj)
        if grace is not None:
            self._mark_gracefully(obj, grace)
            if grace > 0 or is_held:
                return self._keep(stored, obj, key), False
            # as the reference, which marks and removes in two writes: watchers see both
            stored = self._store(obj, key, stored)
            return self._remove(stored, key), True
        if is_held:
            self._mark(obj)
            return self._keep(stored, obj, key), False
        return self._remove(stored, key), True

    def _check_preconditions(self, obj: Json) -> None:
        """DE-1; the message names the kind, with its group, where others name the resource."""
        options, metadata = self._options, obj["metadata"]
        resource = self._storage.kind.resource
        by_kind = replace(resource, plural=resource.kind)
        if self._storage.base.terminate is not None:
            self._check_life_cycle(metadata)
            return
        if options.uid is not None and options.uid != metadata["uid"]:
            raise conflict(
                by_kind,
                metadata["name"],
                f"the UID in the precondition ({options.uid}) does not match the UID in record ({metadata['uid']}). "
                "The object might have been deleted and then recreated",
            )
        revision = metadata["resourceVersion"]
        if options.resource_version is not None and options.resource_version != revision:
            raise conflict(
                by_kind,
                metadata["name"],
                f"the ResourceVersion in the precondition ({options.resource_version}) does not match the "
                f"ResourceVersion in record ({revision}). The object might have been modified",
            )

    def _check_life_cycle(self, metadata: Json) -> None:
        """DE-1, of an object with a life cycle of its own: in words of its own."""
        sent = {"UID": self._options.uid, "ResourceVersion": self._options.resource_version}
        there = {"UID": metadata["uid"], "ResourceVersion": metadata["resourceVersion"]}
        for what, value in sent.items():
            if value is not None and value != there[what]:
                why = f"Precondition failed: {what} in precondition: {value}, {what} in object meta: {there[what]}"
                raise conflict(self._storage.kind.resource, metadata["name"], why)

    def _grace(self, obj: Json) -> int | None:
        """Return the grace period that this request sets (DE-6), None when it sets none."""
        asked, metadata = self._options.grace_period_seconds, obj["metadata"]
        if self._storage.base.grace_period is None:
            return None
        if "deletionTimestamp" not in metadata:
            return self._storage.base.grace_period(obj, asked)
        current = metadata.get("deletionGracePeriodSeconds")
        if not current or asked is None or asked >= current:
            return None  # a later request may only shorten
        return asked

    def _set_propagation(self, obj: Json) -> None:
        """DE-5: an explicit policy, or that of the kind, puts its finalizer in the place of the other's."""
        policy, base = self._options.propagation_policy, self._storage.base
        metadata = obj["metadata"]
        if base.dependents == "never":
            policy = "Background"
        elif policy is None and base.dependents == "orphaned" and FOREGROUND not in metadata.get("finalizers", ()):
            policy = "Orphan"
        if policy is None:
            return
        wanted = {"Orphan": ORPHAN, "Foreground": FOREGROUND}.get(policy)
        finalizers = [one for one in metadata.get("finalizers", ()) if one not in (ORPHAN, FOREGROUND)]
        if wanted is not None:
            finalizers.append(wanted)
        if finalizers:
            metadata["finalizers"] = finalizers
        else:
            metadata.pop("finalizers", None)

    def _mark_gracefully(self, obj: Json, grace: int) -> None:
        metadata = obj["metadata"]
        start = self._api.objects.clock()
        if "deletionTimestamp" in metadata:
            began = datetime.fromisoformat(metadata["deletionTimestamp"])
            start = began - seconds_of(metadata["deletionGracePeriodSeconds"])
        elif metadata.get("generation"):
            metadata["generation"] += 1
        metadata["deletionTimestamp"] = (start + seconds_of(grace)).strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata["deletionGracePeriodSeconds"] = grace

    def _mark(self, obj: Json) -> None:
        """Mark the object as being deleted: a finalizer still holds it (DE-3)."""
        metadata = obj["metadata"]
        if metadata.get("deletionGracePeriodSeconds") is None and metadata.get("generation"):
            metadata["generation"] += 1
        metadata.setdefault("deletionTimestamp", self._api.objects.now())
        metadata["deletionGracePeriodSeconds"] = 0

    def _terminate(self, stored: Stored, obj: Json, key: str) -> tuple[bytes, bool]:
        """DE-7: an object with a life cycle of its own is only marked while a finalizer or its kind holds it."""
        base, metadata = self._storage.base, obj["metadata"]
        assert base.terminate is not None
        self._set_propagation(obj)
        if "deletionTimestamp" not in metadata:
            metadata["deletionTimestamp"] = self._api.objects.now()
            base.terminate(obj)
        if metadata.get("finalizers") or base.is_held(obj):
            return self._keep(stored, obj, key), False
        return self._remove(stored, key), True

    # ---------------------------------------------------------------- to the store

    def _keep(self, stored: Stored, obj: Json, key: str) -> bytes:
        """Store the marked object, unless it was marked just so before."""
        if obj == self._storage.decode(stored.data):
            self._unchanged.append(key)
            return stored.data
        return self._store(obj, key, stored).data

    def _store(self, obj: Json, key: str, before: Stored) -> Stored:
        arranged = self._storage.arrange(obj)  # of any size, with the mark: a deletion makes room (STORAGE-1)
        if self._options.dry_run:
            return Stored(before.revision, encode(arranged))
        stored, durable = self._api.objects.store.put(self._storage.store_name, key, encoder_of(arranged, None))
        self._pending.append(durable)
        return stored

    def _remove(self, stored: Stored, key: str) -> bytes:
        if self._options.dry_run:
            return stored.data
        last, durable = self._api.objects.store.delete(self._storage.store_name, key)
        self._pending.append(durable)
        return last.data


def _is_waiting_for_grace(obj: Json) -> bool:
    metadata = obj["metadata"]
    return "deletionTimestamp" in metadata and bool(metadata.get("deletionGracePeriodSeconds"))


def _success(storage: Storage, data: bytes) -> Json:
    resource = storage.kind.resource
    metadata = storage.decode(data)["metadata"]
    details: Json = {"name": metadata["name"]}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    details["uid"] = metadata["uid"]
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
