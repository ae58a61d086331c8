"""The plugins of a process, as the rules and the operations see them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from tests.volumes.objects import volume

from pvbinder.model.json import Json
from pvbinder.model.objects import Volume
from pvbinder.rules.reclaim import CannotDelete, DeleteOutside, DeleteWith, find_deleter
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.loading import in_tree_plugins
from pvbinder.volumes.plugin import Deleted, DeleteOutcome, Identity, PluginError


@dataclass
class Deletes:
    """A plugin that deletes."""

    identity: Identity

    def delete(self, _volume: Volume) -> DeleteOutcome:
        return Deleted()


@dataclass
class Nothing:
    """A plugin that can do nothing."""

    identity: object


class Broken:
    """A plugin that can't be asked who it is."""

    @property
    def identity(self) -> Identity:
        raise RuntimeError("no licence")


def deletes(name: str, *sources: str) -> Deletes:
    return Deletes(Identity(name, frozenset(sources)))


IN_TREE = Catalogue(in_tree_plugins())
HOST_PATH: Json = {"hostPath": {"path": "/tmp/x"}}
NFS: Json = {"nfs": {"server": "nas", "path": "/"}}


def test_the_in_tree_plugins_can_do_what_those_of_the_reference_can() -> None:
    """The table of 9.3."""
    host_path, nfs = IN_TREE.named("kubernetes.io/host-path"), IN_TREE.named("kubernetes.io/nfs")

    assert host_path is not None
    assert (host_path.can_provision, host_path.can_delete, host_path.can_recycle) == (True, True, True)
    assert not host_path.takes_mount_options
    assert nfs is not None
    assert (nfs.can_provision, nfs.can_delete, nfs.can_recycle) == (False, False, True)
    assert nfs.takes_mount_options


DELETERS = {  # what is special about the volume: (the volume, who deletes it)
    "hostPath": (volume("x", **HOST_PATH), "kubernetes.io/host-path"),
    "NFS can't be deleted": (
        volume("x", **NFS),
        'error getting deleter volume plugin for volume "x": no deletable volume plugin matched',
    ),
    "local has no plugin": (
        volume("x", local={"path": "/mnt"}),
        'error getting deleter volume plugin for volume "x": no volume plugin matched',
    ),
    "no source": (volume("x"), 'error getting deleter volume plugin for volume "x": no volume plugin matched'),
    "CSI is external": (volume("x", csi={"driver": "d", "volumeHandle": "h"}), None),
    "an unknown in-tree provisioner": (
        volume("x", annotations={"pv.kubernetes.io/provisioned-by": "kubernetes.io/gone"}, **HOST_PATH),
        "no volume plugin matched name: kubernetes.io/gone",
    ),
    "an in-tree provisioner that can't delete": (
        volume("x", annotations={"pv.kubernetes.io/provisioned-by": "kubernetes.io/nfs"}, **NFS),
        "no deletable volume plugin matched",
    ),
    "somebody else's provisioner": (
        volume("x", annotations={"pv.kubernetes.io/provisioned-by": "example.com/nas"}, **NFS),
        None,
    ),
}


@pytest.mark.parametrize(("disk", "expected"), DELETERS.values(), ids=DELETERS.keys())
def test_who_deletes(disk: Volume, expected: str | None) -> None:
    """DL-1: the rules' decision with our catalogue."""
    match find_deleter(disk, IN_TREE):
        case DeleteOutside():
            assert expected is None
        case DeleteWith(plugin=plugin):
            assert plugin.name == expected
        case CannotDelete(why=why):
            assert why == expected


def test_two_plugins_for_one_source_are_named_in_their_order() -> None:
    """DL-1."""
    catalogue = Catalogue([deletes("b", "hostPath"), deletes("a", "hostPath")])

    found = find_deleter(volume("x", **HOST_PATH), catalogue)

    assert isinstance(found, CannotDelete)
    assert found.why == 'error getting deleter volume plugin for volume "x": multiple volume plugins matched: b,a'


def test_a_third_party_deletes_what_it_made() -> None:
    """DL-1 (a): the name decides, whatever the source."""
    catalogue = Catalogue([*in_tree_plugins(), deletes("example.com/nas")])
    disk = volume("x", annotations={"pv.kubernetes.io/provisioned-by": "example.com/nas"}, **NFS)

    found = find_deleter(disk, catalogue)

    assert isinstance(found, DeleteWith)
    assert found.plugin.name == "example.com/nas"


def test_the_name_of_a_volumes_plugin() -> None:
    """MT-1a."""
    both = Catalogue([deletes("b", "hostPath"), deletes("a", "hostPath")])

    assert IN_TREE.plugin_name_of(volume(**HOST_PATH)) == "kubernetes.io/host-path"
    assert IN_TREE.plugin_name_of(volume(csi={"driver": "d", "volumeHandle": "h"})) == "N/A"
    assert both.plugin_name_of(volume(**HOST_PATH)) == "N/A"


def test_catalogue_1_a_lookup_runs_no_code_of_a_plugin() -> None:
    class Asked(Deletes):
        times = 0

        def __getattribute__(self, name: str) -> object:
            if name in ("identity", "delete"):
                Asked.times += 1
            return object.__getattribute__(self, name)

    catalogue = Catalogue([Asked(Identity("a", frozenset({"hostPath"})))])
    asked = Asked.times

    catalogue.named("a"), catalogue.supporting(volume(**HOST_PATH)), catalogue.deleter("a"), list(catalogue)
    catalogue.plugin_name_of(volume(**HOST_PATH)), catalogue.identity("a")

    assert Asked.times == asked


REFUSED = {  # what is wrong: (the plugin, why it's left out)
    "the name of another": (deletes("kubernetes.io/nfs", "nfs"), "'kubernetes.io/nfs' was registered more than once"),
    "an identity that raises": (Broken(), "can't be asked who it is: RuntimeError('no licence')"),
    "an identity that is none": (Nothing("me"), "its `identity` is a str"),
    "no name": (deletes("", "nfs"), "has no name"),
    "one source as text": (Nothing(Identity("x", "nfs")), "no frozenset of field names"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize(("plugin", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_catalogue_2_a_plugin_without_identity_is_left_out_and_the_others_are_there(plugin: Deletes, why: str) -> None:
    catalogue = Catalogue([*in_tree_plugins(), plugin, deletes("example.com/last")])

    assert [identity.name for identity in catalogue] == [
        "kubernetes.io/host-path",
        "kubernetes.io/nfs",
        "example.com/last",
    ]
    assert why in catalogue.refused[0].message


def test_a_plugin_is_not_lent_for_what_it_can_not() -> None:
    with pytest.raises(PluginError, match=r"'kubernetes.io/nfs' can't delete"):
        IN_TREE.deleter("kubernetes.io/nfs")
    with pytest.raises(PluginError, match=r"no volume plugin matched name: example.com/none"):
        IN_TREE.recycler("example.com/none")
