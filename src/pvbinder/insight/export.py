"""All objects of a cluster or of a data directory, written in the form that ``up --load`` begins with.

EXPORT-1  Objects are written whole: with status, UID, times, owner references and managed fields.
EXPORT-2  A kind is written once: in its group's preferred version, and events as those of the core group.
EXPORT-3  The output is one ``List`` that kubectl reads, too; every text in YAML is read back as the same text.
EXPORT-4  A kind that the user may not read is named, and the others are written.
EXPORT-5  Characters that could command a terminal are escaped as JSON and YAML do it.

Each kind of a cluster is read at a moment of its own, as kubectl does; a data directory is read at one moment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal, TextIO

import msgspec

from pvbinder.kube.client import Client
from pvbinder.kube.discovery import discover
from pvbinder.kube.errors import ApiFailure
from pvbinder.kube.kinds import metadata_of
from pvbinder.model.json import Json, decode, encode
from pvbinder.model.printable import printable_json
from pvbinder.server.store import DataDirectoryError, Store
from pvbinder.server.store.database import FILE_NAME

Format = Literal["yaml", "json"]

_EVENTS_ELSEWHERE = ("events.k8s.io", "events")  # the same events as those of the core group
_NEEDED_VERBS = ("list", "create")  # a kind without these isn't stored: reviews, for example
_LOOKS_LIKE_MORE = re.compile(r"[-+.~=0-9]|(?:[yYnN]|on|off)$", re.IGNORECASE)


async def objects_of_cluster(client: Client) -> tuple[list[Json], list[str]]:
    """Return all objects that the server shows, and the kinds that it wouldn't show (EXPORT-4)."""
    found: list[Json] = []
    served = await discover(client)
    refused = [f"{group} doesn't answer" for group in served.missing]
    for kind in served.kinds:
        resource = kind.resource
        if not kind.allows(*_NEEDED_VERBS) or (resource.group, resource.plural) == _EVENTS_ELSEWHERE:
            continue
        try:
            listed = await client.list_all(metadata_of(resource))
        except ApiFailure as failure:
            if failure.status not in (403, 404, 405):
                raise
            refused.append(f"{resource.qualified}: {failure.message}")
            continue
        typed = {"apiVersion": resource.api_version, "kind": resource.kind}
        found += ({**typed, **each.document()} for each in listed)
    return found, refused


async def objects_of_directory(directory: Path) -> list[Json]:
    """Return all objects in a data directory that no server is running on; raises DataDirectoryError otherwise."""
    if not (directory / FILE_NAME).is_file():
        raise DataDirectoryError(f"{directory} is no data directory of pvbinder", hint="name another with --data-dir")
    async with Store(directory) as store:
        kinds = sorted(store.statistics().objects)
        return [decode(stored.data) for kind in kinds for _, stored in store.objects(kind)]


def write_dump(objects: Iterable[Json], to: TextIO, form: Format) -> None:
    """Write `objects` as one list (EXPORT-3)."""
    if form == "json":
        items = b",\n".join(msgspec.json.format(encode(each), indent=2) for each in objects)
        to.write('{"apiVersion": "v1", "kind": "List", "items": [\n' + printable_json(items.decode()) + "\n]}\n")
        return
    write = _yaml_writer()
    to.write("apiVersion: v1\nkind: List\nitems:")
    empty = True
    for text in (write(each) for each in objects):
        to.write("\n" * empty + text)
        empty = False
    if empty:
        to.write(" []\n")


def as_yaml(obj: Json) -> str:
    """Return `obj` as a document of YAML, as dumps have it (EXPORT-3, EXPORT-5)."""
    return "".join(line[2:] + "\n" for line in _yaml_writer()(obj).splitlines())


def _yaml_writer() -> Callable[[Json], str]:
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        """Quotes every text that another reader of YAML could take for a number, a time or a truth value."""

        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: Dumper, value: str) -> yaml.ScalarNode:
        style = '"' if _LOOKS_LIKE_MORE.match(value) else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)  # type: ignore[no-any-return]

    Dumper.add_representer(str, text)

    def dumped(obj: Json, *, allow_unicode: bool) -> str:
        return str(yaml.dump([obj], Dumper=Dumper, sort_keys=False, allow_unicode=allow_unicode, width=2**20))

    def write(obj: Json) -> str:
        text = dumped(obj, allow_unicode=True)
        return text if text.replace("\n", "").isprintable() else dumped(obj, allow_unicode=False)  # EXPORT-5

    return write
