"""The protocol of plugins: the parts of a plugin, and the volumes from its answers."""

from __future__ import annotations

import ast
from dataclasses import FrozenInstanceError, dataclass, field
from pathlib import Path

import pytest
from tests.volumes.objects import request, volume

import pvbinder.volumes
from pvbinder.model.objects import Volume
from pvbinder.model.quantity import parse_quantity
from pvbinder.volumes.calls import PluginCalls
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.host_path import HostPathPlugin, HostPathSettings
from pvbinder.volumes.plugin import (
    Deleted,
    DeleteOutcome,
    Deleter,
    Failed,
    Identity,
    Provisioned,
    Provisioner,
    Recycler,
)


@dataclass
class Shredder:
    """A third party's whole plugin."""

    identity: Identity = field(default_factory=lambda: Identity("example.com/shredder", frozenset({"flexVolume"})))

    def delete(self, _volume: Volume) -> DeleteOutcome:
        return Deleted()


def test_a_plugin_is_an_identity_and_one_method() -> None:
    plugin = Shredder()

    assert isinstance(plugin, Deleter)
    assert not isinstance(plugin, Provisioner)
    assert not isinstance(plugin, Recycler)


def test_plugin_1_the_identity_is_data_and_read_once() -> None:
    plugin = Shredder()
    catalogue = Catalogue([plugin])
    plugin.identity = Identity("example.com/changed", frozenset())

    assert [identity.name for identity in catalogue] == ["example.com/shredder"]
    with pytest.raises(FrozenInstanceError):
        plugin.identity.name = "other"  # type: ignore[misc]


def test_plugin_2_no_plugin_can_reach_the_api_server() -> None:
    """No module of the room imports the line to it."""
    for path in Path(pvbinder.volumes.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert not (node.module or "").startswith(("pvbinder.kube", "aiohttp")), path.name


async def test_plugin_3_an_answer_that_is_no_outcome_is_a_failure() -> None:
    class Silent(Shredder):
        def delete(self, _volume: Volume) -> DeleteOutcome:
            return None  # type: ignore[return-value]

    assert isinstance(await PluginCalls(Catalogue([Silent()])).delete("example.com/shredder", volume()), Failed)


def test_plugin_4_what_is_done_again_is_a_success(tmp_path: Path) -> None:
    plugin = HostPathPlugin(HostPathSettings(provisioning=True, root=str(tmp_path)))

    first, second = plugin.provision(request()), plugin.provision(request())
    assert isinstance(first, Provisioned)
    assert first == second

    made = volume(**first.source)
    assert plugin.delete(made) == plugin.delete(made) == Deleted()


def test_a_volume_gets_what_the_claim_asks_for_and_the_plugin_says() -> None:
    """PR-14."""
    made = Provisioned(
        {"nfs": {"server": "nas", "path": "/1"}},
        annotations={"kubernetes.io/createdby": "nas"},
        labels={"tier": "gold"},
        node_affinity={"required": {"nodeSelectorTerms": []}},
    )

    assert made.to_volume(request(volume_mode="Filesystem", mount_options=("hard",))) == {
        "metadata": {
            "name": "pvc-1",
            "labels": {"tier": "gold"},
            "annotations": {"kubernetes.io/createdby": "nas"},
        },
        "spec": {
            "capacity": {"storage": "5Gi"},
            "nfs": {"server": "nas", "path": "/1"},
            "accessModes": ["ReadWriteMany"],
            "volumeMode": "Filesystem",
            "mountOptions": ["hard"],
            "nodeAffinity": {"required": {"nodeSelectorTerms": []}},
        },
    }


def test_a_plugin_may_choose_name_size_and_modes() -> None:
    """PR-14: the plugin's modes count only where the claim has none."""
    made = Provisioned(
        {"nfs": {}}, capacity=parse_quantity("8Gi"), volume_name="disk-9", access_modes=("ReadOnlyMany",)
    )

    document = made.to_volume(request(access_modes=()))

    assert document["metadata"] == {"name": "disk-9"}
    assert document["spec"]["capacity"] == {"storage": "8Gi"}
    assert document["spec"]["accessModes"] == ["ReadOnlyMany"]
    assert made.to_volume(request(access_modes=("ReadWriteOnce",)))["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_what_is_made_of_an_outcome_shares_nothing_with_it() -> None:
    made = Provisioned({"nfs": {"server": "nas"}})
    made.to_volume(request())["spec"]["nfs"]["server"] = "changed"

    assert made.source == {"nfs": {"server": "nas"}}
