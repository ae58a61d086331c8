"""What is written can be read again, by us and by others, and nothing of it is lost."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.server.api.test_loading import BACKUP, CLAIM, DEFINITION, VOLUME, loading
from tests.server.strategies import texts

from pvbinder.insight.export import Format, objects_of_cluster, objects_of_directory, write_dump
from pvbinder.kube.client import Client
from pvbinder.kube.in_process import InProcessTransport
from pvbinder.server.identity.authentication import AUTHENTICATED, MASTERS
from pvbinder.server.objects.schema.yaml_text import parse_yaml
from pvbinder.server.requests import UserInfo
from pvbinder.server.store import DataDirectoryError
from pvbinder.sources.reading import read_dumps

ADMIN = UserInfo("admin", groups=(MASTERS, AUTHENTICATED))
NOBODY = UserInfo("nobody", groups=(AUTHENTICATED,))
TRICKY = [
    "1e3",
    "1e+3",
    "0x1f",
    "010",
    "yes",
    "n",
    "off",
    "null",
    "~",
    "=",
    "2024-01-01",
    "1:30",
    ".5",
    "a: b",
    "",
    " x",
]


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    found = {}
    for each in objects:
        metadata = {name: value for name, value in each["metadata"].items() if name != "resourceVersion"}
        where = (each["kind"], metadata.get("namespace", ""), metadata["name"])
        found[where] = {**each, "metadata": metadata}
    return found


def written(objects: list[dict[str, Any]], form: Format) -> str:
    text = io.StringIO()
    write_dump(objects, text, form)
    return text.getvalue()


async def test_export_2_all_objects_of_a_server_once_and_whole() -> None:
    async with loading(CLAIM, VOLUME, BACKUP, DEFINITION) as server:
        objects, refused = await objects_of_cluster(Client(InProcessTransport(server.dispatcher, ADMIN)))
    found = by_name(objects)
    assert refused == []
    assert len(found) == len(objects)
    assert (
        found["PersistentVolumeClaim", "shop", "orders"] == by_name([CLAIM])["PersistentVolumeClaim", "shop", "orders"]
    )
    assert found["Backup", "shop", "nightly"]["status"] == {"done": True}


async def test_export_1_loaded_again_it_is_the_same(tmp_path: Path) -> None:
    async with loading(CLAIM, VOLUME, BACKUP, DEFINITION, data_dir=tmp_path / "first"):
        pass
    first = await objects_of_directory(tmp_path / "first")
    async with loading(*first, data_dir=tmp_path / "second"):
        pass
    assert by_name(await objects_of_directory(tmp_path / "second")) == by_name(first)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_export_3_text_stays_text_for_us_and_for_kubectl(tmp_path: Path, form: Format) -> None:
    maps = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"m{number}"}, "data": {text or "x": text}}
        for number, text in enumerate(TRICKY)
    ]
    (tmp_path / "dump").write_text(written(maps, form))
    assert list(read_dumps([str(tmp_path / "dump")])) == maps
    as_kubectl = parse_yaml(written(maps, form).encode()).value
    assert as_kubectl == {"apiVersion": "v1", "kind": "List", "items": maps}


@given(st.dictionaries(texts, texts, max_size=3))
def test_export_3_any_text_stays_what_it_is(data: dict[str, str]) -> None:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data}
    assert parse_yaml(written([document], "yaml").encode()).value["items"] == [document]


def test_export_3_nothing_is_an_empty_list() -> None:
    empty = {"apiVersion": "v1", "kind": "List", "items": []}
    assert yaml.safe_load(written([], "yaml")) == empty
    assert json.loads(written([], "json")) == empty


async def test_export_4_what_may_not_be_read_is_named() -> None:
    async with loading(VOLUME) as server:
        objects, refused = await objects_of_cluster(Client(InProcessTransport(server.dispatcher, NOBODY)))
    assert objects == []
    assert any(each.startswith("secrets: ") and "forbidden" in each for each in refused)


async def test_a_directory_that_is_none_of_ours_is_refused_and_stays_empty(tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryError, match="is no data directory"):
        await objects_of_directory(tmp_path)
    assert not any(tmp_path.iterdir())
