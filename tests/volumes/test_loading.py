"""Plugins that other packages bring: the example of the manual, installed, and some that are broken."""

from __future__ import annotations

import logging
import sys
import threading
import tomllib
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import yaml

from pvbinder import logs
from pvbinder.model.json import encode
from pvbinder.model.objects import parse_claim, parse_storage_class, parse_volume
from pvbinder.rules.provisioning import provisioned_volume
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.loading import ENTRY_POINTS, in_tree_plugins, load_catalogue
from pvbinder.volumes.plugin import Deleted, Failed, Identity, Provisioned, ProvisionRequest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "plugins" / "nfs-directories"
NAME = "example.com/nfs-directories"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example as pip would leave it: its module on the path, its entry points in its metadata; the NFS mount."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / "site" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in [f"[{group}]", *(f"{name} = {target}" for name, target in entries.items())]
    ]
    (metadata / "entry_points.txt").write_text("\n".join(lines))
    mount = tmp_path / "mount"
    mount.mkdir()
    for name, value in {"NFS_SERVER": "nas", "NFS_EXPORT": "/export", "NFS_MOUNT": str(mount)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(str(EXAMPLE))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    yield mount
    sys.modules.pop("nfs_directories", None)


def example_request(name: str = "pvc-1") -> ProvisionRequest:
    """What the example's manifest asks for."""
    used_class, claim = yaml.safe_load_all((EXAMPLE / "claim.yaml").read_text())
    claim["metadata"] |= {"namespace": "shop", "uid": "1"}
    return ProvisionRequest(name, parse_claim(encode(claim)), parse_storage_class(encode(used_class)))


async def test_the_example_provisions_and_deletes(installed: Path) -> None:
    catalogue = load_catalogue(in_tree_plugins())
    calls = PluginCalls(catalogue)
    request = example_request()

    outcome = await calls.provision(NAME, request)
    assert isinstance(outcome, Provisioned)
    assert await calls.provision(NAME, request) == outcome
    (installed / "pvc-1" / "report").write_text("x")
    document = provisioned_volume(request.claim, request.storage_class, NAME, outcome.to_volume(request))
    volume = parse_volume(encode(document))

    assert document["spec"]["nfs"] == {"server": "nas", "path": "/export/pvc-1"}
    assert document["spec"]["mountOptions"] == ["hard"]
    assert volume.provisioned_by == NAME
    assert await calls.delete(NAME, volume) == await calls.delete(NAME, volume) == Deleted()
    assert [path.name for path in installed.iterdir()] == ["archived-pvc-1"]


@pytest.mark.usefixtures("installed")
def test_the_example_leaves_other_nfs_volumes_to_the_in_tree_plugin() -> None:
    catalogue = load_catalogue(in_tree_plugins())
    nfs = parse_volume(encode({"metadata": {"name": "x"}, "spec": {"nfs": {"server": "s", "path": "/"}}}))

    assert [identity.name for identity in catalogue] == ["kubernetes.io/host-path", "kubernetes.io/nfs", NAME]
    assert [plugin.name for plugin in catalogue.supporting(nfs)] == ["kubernetes.io/nfs"]


async def test_the_example_fails_with_a_reason(installed: Path) -> None:
    calls = PluginCalls(load_catalogue(in_tree_plugins()))
    installed.rmdir()

    outcome = await calls.provision(NAME, example_request())

    assert isinstance(outcome, Failed)
    assert "No such file or directory" in outcome.reason


@pytest.mark.usefixtures("installed")
def test_loading_1_a_plugin_without_its_settings_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NFS_SERVER")
    with caplog.at_level(logging.ERROR):
        catalogue = load_catalogue(in_tree_plugins())

    assert len(catalogue) == 2
    why = "volume plugin 'nfs-directories' of nfs-directories can't be loaded: KeyError('NFS_SERVER')"
    assert [error.message for error in catalogue.refused] == [why]
    assert [(record.message, logs.fields_of(record)) for record in caplog.records] == [
        ("volume plugin left out", {"err": why})
    ]


class Usurper:
    """A plugin that calls itself as an in-tree one does."""

    identity = Identity("kubernetes.io/nfs", frozenset({"nfs"}))


HANGS = threading.Event()


def never_ready() -> object:
    """Make a plugin, some day."""
    HANGS.wait(30)
    return Usurper()


def gives_up() -> object:
    """Make no plugin but an end of it all."""
    raise SystemExit(1)


def entry_point(value: str) -> EntryPoint:
    return EntryPoint(value.rpartition(":")[2], value, ENTRY_POINTS)


BROKEN = {  # what is wrong: (the entry point's value, a part of the reason)
    "no such module": ("no_such_module_at_all:Plugin", "can't be loaded: ModuleNotFoundError"),
    "no such name": ("json:Plugin", "can't be loaded: AttributeError"),
    "no plugin": ("builtins:dict", "can't be asked who it is: AttributeError"),
    "it wants to end the process": (f"{__name__}:gives_up", "can't be loaded: SystemExit(1)"),
    "it hangs": (f"{__name__}:never_ready", "was not loaded within 0.05 s"),
    "no entry point at all": ("builtins:print:", "can't be loaded"),
}


@pytest.mark.parametrize(("value", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_loading_1_a_broken_plugin_is_left_out_and_the_others_are_there(value: str, why: str) -> None:
    catalogue = load_catalogue(in_tree_plugins(), installed=[entry_point(value)], timeout_seconds=0.05)
    HANGS.set()
    HANGS.clear()

    assert [identity.name for identity in catalogue] == ["kubernetes.io/host-path", "kubernetes.io/nfs"]
    assert why in catalogue.refused[0].message


def test_loading_2_an_in_tree_plugin_keeps_its_name() -> None:
    catalogue = load_catalogue(in_tree_plugins(), installed=[entry_point(f"{__name__}:Usurper")])

    assert catalogue.named("kubernetes.io/nfs") == Catalogue(in_tree_plugins()).named("kubernetes.io/nfs")
    assert "registered more than once" in catalogue.refused[0].message
