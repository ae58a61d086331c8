"""GET of an object and of a list.

READ-1  A list is a state that existed: it is taken at once, and however long it takes to be looked through and written
        down, it stays that state.
READ-2  A long list doesn't hold up others: other requests have their turn in between (TURNS-1).
READ-3  A list over `JOINED_BYTES_MAX` is never put together for a socket: it is sent in chunks of what is stored, as
        its reader takes them, and not indented. In YAML, which can't be, a list over `YAML_BYTES_MAX` is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import compress
from time import perf_counter

from pvbinder.server.api.negotiation import JSON_TYPE, Form, negotiate, respond, respond_bytes
from pvbinder.server.api.rest.api import Api
from pvbinder.server.api.rest.continue_token import NOW, expired_token, make_token, read_token
from pvbinder.server.api.rest.options import ListOptions, internal_error, parse_revision, read_list_options
from pvbinder.server.api.rest.selection import Selection, read_selection
from pvbinder.server.api.rest.shown import Shown
from pvbinder.server.api.rest.turns import BYTES_PER_TURN, OBJECTS_PER_TURN, turns
from pvbinder.server.errors import ApiError, bad_request, not_found
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.kinds.storage import Storage, encode
from pvbinder.server.objects.kind import Json, Subresource
from pvbinder.server.requests import ApiRequest, ApiResponse
from pvbinder.server.store import Page, RevisionExpired, RevisionFromTheFuture, Stored

USUAL_TERMS_MAX = 20  # of a selector: with more of them the list is looked through aside, fewer objects at once
JOINED_BYTES_MAX = 1 << 20
YAML_BYTES_MAX = 4 << 20
CHUNK_BYTES = 64 << 10  # of a list that is sent in chunks
CHUNKS_PER_TURN = 4
SHOWN_SECONDS = 0.01  # of making rows, in one turn


def get(
    api: Api, request: ApiRequest, attributes: Attributes, storage: Storage, sub: Subresource | None
) -> ApiResponse:
    """Answer a GET of one object or of a subresource of it."""
    form = negotiate(request.headers.get("accept", ""))
    revision = read_revision(_first(request, "resourceVersion"))
    if revision > api.objects.store.revision:
        raise resource_version_too_large(revision, api.objects.store.revision)
    stored = api.objects.store.get(storage.store_name, storage.key(attributes.namespace, attributes.name))
    if stored is None:
        raise not_found(storage.kind.resource, attributes.name)
    if sub is not None and sub.body is not None:
        body = sub.read(storage.served(stored.data))
        if form.shape != "object":
            body = Shown.of(api, request, storage, form).body(body, sub)
        return respond(request, 200, body, form.media_type)
    return answer_object(api, request, storage, stored.data, form)


def answer_object(
    api: Api, request: ApiRequest, storage: Storage, data: bytes, form: Form, status: int = 200
) -> ApiResponse:
    """Answer with one stored object in the form that was agreed."""
    if form.shape == "object":
        return respond_bytes(request, status, storage.answer(data), form.media_type)
    shown = Shown.of(api, request, storage, form)
    return respond(request, status, shown.object(storage.decode(data)), form.media_type)


async def list_objects(api: Api, request: ApiRequest, attributes: Attributes, storage: Storage) -> ApiResponse:
    """Answer a GET of a collection."""
    form = negotiate(request.headers.get("accept", ""), streams=not storage.base.is_custom)
    options = read_list_options(request.query, is_watch=False)
    selection = read_selection(storage, options)
    items, metadata = await select(
        api, attributes.namespace, storage, options, selection, request.user.name if request.user else ""
    )
    return await answer_list(api, request, storage, items, metadata, form)


async def answer_list(
    api: Api, request: ApiRequest, storage: Storage, items: list[tuple[str, Stored]], metadata: Json, form: Form
) -> ApiResponse:
    """Answer with a list of stored objects in the form that was agreed (READ-3)."""
    stored = [one for _, one in items]  # a reader may take its time: it isn't to hold the keys as well
    del items
    weight = sum(len(one.data) for one in stored)
    length = None
    if form.shape == "object":
        resource = storage.kind.resource
        if storage.kind.is_custom:  # as lists of any kind of the reference are written
            metadata = {"continue": "", **metadata}
        start = encode({"kind": storage.kind.list_name, "apiVersion": resource.api_version, "metadata": metadata})
        head, end = start[:-1] + b',"items":[', b"]}\n"
        if not storage.converts:
            length = len(head) + len(end) + storage.members_length(weight, len(stored)) + max(0, len(stored) - 1)
        chunks = _list_chunks(storage, stored, head, end)
    else:
        order = storage.kind.table_order
        if order is not None and form.shape == "table":
            stored.sort(key=lambda one: order(storage.decode(one.data)))
        chunks = _shown_chunks(Shown.of(api, request, storage, form), stored, metadata)
    if form.media_type != JSON_TYPE and weight > YAML_BYTES_MAX:
        why = f"a list of {weight} bytes is too long to be written as YAML: ask for JSON, or for pages of it with limit"
        raise ApiError(406, "NotAcceptable", why)
    if form.media_type != JSON_TYPE or weight <= JOINED_BYTES_MAX or not request.takes_chunks:
        data = b"".join([chunk async for chunk in chunks])
        if form.media_type == JSON_TYPE:
            return respond_bytes(request, 200, data)
        return await asyncio.get_running_loop().run_in_executor(
            None, respond_bytes, request, 200, data, form.media_type
        )
    return ApiResponse(200, headers={"Content-Type": JSON_TYPE}, stream=chunks, is_document=True, length=length)


async def _list_chunks(storage: Storage, stored: list[Stored], head: bytes, end: bytes) -> AsyncIterator[bytes]:
    """Give the bytes of a list of objects (READ-2)."""
    parts: list[bytes | memoryview] = [head]
    add = parts.append
    size = sent = 0
    before = b"{"
    for one in stored:
        members = storage.item_members(one.data)
        if size + len(members) > CHUNK_BYTES and size:
            yield b"".join(parts)
            parts.clear()
            size = 0
            sent += 1
            if sent % CHUNKS_PER_TURN == 0:
                await asyncio.sleep(0)
        add(before)
        before = b",{"
        if len(members) > CHUNK_BYTES:
            yield b"".join(parts)
            parts.clear()
            for piece in pieces_of(members, CHUNK_BYTES):
                yield piece
            await asyncio.sleep(0)
            continue
        add(members)
        size += len(members)
    add(end)
    yield b"".join(parts)


def _objects_of_a_turn(storage: Storage, left: Iterator[Stored]) -> Iterator[Json]:
    """Give objects until one turn has shown enough: the columns of its kind decide how long a row takes (READ-2)."""
    until = perf_counter() + SHOWN_SECONDS
    size = 0
    for count, one in enumerate(left, 1):
        size += len(one.data)
        yield storage.decode(one.data)
        if count == OBJECTS_PER_TURN or size >= BYTES_PER_TURN or perf_counter() > until:
            return


async def _shown_chunks(shown: Shown, stored: list[Stored], metadata: Json) -> AsyncIterator[bytes]:
    """Give the bytes of a list in another form than the objects' own; its rows or items come last (READ-2)."""
    start = encode(shown.list([], metadata))
    yield start[:-2]
    left = iter(stored)
    before = b""
    while True:
        *_, last = shown.list(_objects_of_a_turn(shown.storage, left), metadata).values()
        if not last:
            break
        rows = before + encode(last)[1:-1]
        before = b","
        for piece in pieces_of(rows, CHUNK_BYTES):
            yield piece
        await asyncio.sleep(0)
    yield start[-2:] + b"\n"


def pieces_of(data: bytes | memoryview, size: int) -> Iterator[bytes]:
    """Give `data` in pieces: a reader that stops holds a copy of one of them, not of all."""
    if len(data) <= size:
        yield bytes(data)
        return
    view = memoryview(data)
    for start in range(0, len(view), size):
        yield bytes(view[start : start + size])


async def select(
    api: Api, namespace: str, storage: Storage, options: ListOptions, selection: Selection, user: str = ""
) -> tuple[list[tuple[str, Stored]], Json]:
    """Return what a list for `user` is to show, and its metadata."""
    prefix = storage.prefix(namespace)
    if options.resource_version == "0" and not options.continue_token:
        options = replace(options, limit=0)  # what the reference answers from its cache comes whole
    revision, after = _where(api, options, prefix)
    if selection.name is not None and (prefix or not storage.kind.resource.namespaced):
        page = _one(api, storage, prefix + selection.name, revision, after)
    elif selection.everything:
        page = _page(api, storage, options, prefix, after, options.limit, revision)
    else:
        return await _scan(api, storage, options, selection, prefix, after, revision, user)
    if selection.everything:
        items = page.items
    else:
        items = [item for item in page.items if selection.takes(item[1].data)]
    metadata: Json = {"resourceVersion": str(page.revision)}
    if page.remaining:
        metadata["continue"] = make_token(page.revision, page.items[-1][0][len(prefix) :])
        metadata["remainingItemCount"] = page.remaining
    return items, metadata


async def _scan(
    api: Api,
    storage: Storage,
    options: ListOptions,
    selection: Selection,
    prefix: str,
    after: str,
    revision: int | None,
    user: str,
) -> tuple[list[tuple[str, Stored]], Json]:
    """List with a selector: with a limit, look on until enough is found; how many remain nobody knows."""
    limit = options.limit
    page = _page(api, storage, options, prefix, after, 0, revision)
    found: list[tuple[str, Stored]] = []
    metadata: Json = {"resourceVersion": str(page.revision)}
    terms = options.label_selector.count(",") + options.field_selector.count(",")
    is_heavy = terms > USUAL_TERMS_MAX
    for number, part in enumerate(turns(page.items, OBJECTS_PER_TURN * USUAL_TERMS_MAX // (USUAL_TERMS_MAX + terms))):
        taken: Iterable[bool] = (selection.takes(stored.data) for _, stored in part)
        if is_heavy:
            taken = await api.aside.run(user, partial(list, taken), heavy=True)
        elif number:
            await asyncio.sleep(0)
        for item in compress(part, taken):
            found.append(item)
            if limit and len(found) == limit:
                if item is not page.items[-1]:
                    metadata["continue"] = make_token(page.revision, item[0][len(prefix) :])
                return found, metadata
    return found, metadata


def _page(
    api: Api, storage: Storage, options: ListOptions, prefix: str, after: str, limit: int, revision: int | None
) -> Page:
    try:
        return api.objects.store.list(storage.store_name, prefix, after=after, limit=limit, revision=revision)
    except RevisionExpired as error:
        if options.continue_token:
            raise expired_token(options.continue_token) from error
        raise ApiError(410, "Expired", "The resourceVersion for the provided list is too old.") from error
    except RevisionFromTheFuture as error:
        raise resource_version_too_large(revision or 0, api.objects.store.revision) from error


def _one(api: Api, storage: Storage, key: str, revision: int | None, after: str) -> Page:
    """Return the page that `key` alone makes, so that selecting by name costs one look-up."""
    if revision is None:
        stored = api.objects.store.get(storage.store_name, key) if key >= after else None
        return Page([] if stored is None else [(key, stored)], api.objects.store.revision, 0, "")
    page = _page(api, storage, ListOptions(), key, after, 1, revision)
    return Page([item for item in page.items if item[0] == key], page.revision, 0, "")


def _where(api: Api, options: ListOptions, prefix: str) -> tuple[int | None, str]:
    """Return at which revision a list is to be (None: now) and from which key on."""
    version = options.resource_version
    if options.continue_token:
        revision, start = read_token(options.continue_token)
        if version not in ("", "0"):
            raise bad_request("specifying resource version is not allowed when using continue")
        return (None if revision == NOW else revision), prefix + start
    try:
        revision = parse_revision(version)
    except ValueError as error:
        message = f'invalid resource version: resourceVersion: Invalid value: "{version}": {error}'
        raise bad_request(message) from error
    # A limit alone makes a list exact, as it always was in the reference.
    exact = options.resource_version_match == "Exact" or (options.limit and not options.resource_version_match)
    if revision and exact:
        return revision, ""
    if revision > api.objects.store.revision:
        raise resource_version_too_large(revision, api.objects.store.revision)
    return None, ""


def read_revision(text: str) -> int:
    """Read the resourceVersion of a GET or of a watch; ApiError 500 if it is no number, as the reference has it."""
    try:
        return parse_revision(text)
    except ValueError as error:
        raise internal_error(f'resourceVersion: Invalid value: "{text}": {error}') from error


def resource_version_too_large(revision: int, current: int) -> ApiError:
    """504 of a read at a revision that isn't reached yet."""
    return ApiError(
        504,
        "Timeout",
        f"Timeout: Too large resource version: {revision}, current: {current}",
        details={
            "causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}],
            "retryAfterSeconds": 1,
        },
        headers={"Retry-After": "1"},
    )


def _first(request: ApiRequest, name: str) -> str:
    values = request.query.get(name)
    return values[0] if values else ""
