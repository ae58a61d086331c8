"""The volume plugins as the flags want them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.volumes.objects import request, volume

from pvbinder.controllers.flags import OptionError
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.plugins import load_plugins
from pvbinder.volumes.plugin import Deleted, Failed, Provisioned, RunPod

HOST_PATH = "kubernetes.io/host-path"
NFS = "kubernetes.io/nfs"


def test_by_default_hostpath_is_not_provisioned() -> None:
    """PR-11."""
    assert load_plugins(ControllerOptions()).identity(HOST_PATH).unavailable is not None
    on = load_plugins(ControllerOptions(enable_hostpath_provisioner=True))
    assert on.identity(HOST_PATH).unavailable is None


def test_each_plugin_has_its_own_timeouts() -> None:
    """RY-12."""
    catalogue = load_plugins(
        ControllerOptions(
            pv_recycler_minimum_timeout_hostpath=1,
            pv_recycler_timeout_increment_hostpath=2,
            pv_recycler_minimum_timeout_nfs=3,
            pv_recycler_increment_timeout_nfs=4,
        )
    )
    host_path = catalogue.recycler(HOST_PATH).recycle(volume(capacity="10Gi", hostPath={"path": "/tmp/x"}))
    nfs = catalogue.recycler(NFS).recycle(volume(capacity="0", nfs={"server": "s", "path": "/"}))

    assert isinstance(host_path, RunPod)
    assert host_path.deadline_seconds == 20
    assert isinstance(nfs, RunPod)
    assert nfs.deadline_seconds == 3


def test_each_plugin_has_its_own_template(tmp_path: Path) -> None:
    """RY-13."""
    template = tmp_path / "pod.yaml"
    template.write_text("{apiVersion: v1, kind: Pod, spec: {volumes: [{name: mine}], containers: []}}")
    catalogue = load_plugins(ControllerOptions(pv_recycler_pod_template_filepath_nfs=str(template)))

    nfs = catalogue.recycler(NFS).recycle(volume(nfs={"server": "s", "path": "/"}))
    host_path = catalogue.recycler(HOST_PATH).recycle(volume(hostPath={"path": "/tmp/x"}))

    assert isinstance(nfs, RunPod)
    assert nfs.template["spec"]["volumes"] == [{"name": "mine"}]
    assert isinstance(host_path, RunPod)
    assert host_path.template["spec"]["volumes"] == [{"name": "vol"}]


def test_a_template_that_cant_be_used_fails_the_start(tmp_path: Path) -> None:
    """RY-13: the reference's words."""
    template = tmp_path / "pod.yaml"
    template.write_text("{apiVersion: v1, kind: Pod, spec: {containers: []}}")
    with pytest.raises(OptionError) as refused:
        load_plugins(ControllerOptions(pv_recycler_pod_template_filepath_hostpath=str(template)))

    assert refused.value.message == f"pod specification ({template}): does not contain any volume(s)"


def test_a_root_of_its_own_is_where_directories_are_made_and_deleted(tmp_path: Path) -> None:
    options = ControllerOptions(enable_hostpath_provisioner=True, hostpath_root=f"{tmp_path}/")
    catalogue = load_plugins(options)
    made = catalogue.provisioner(HOST_PATH).provision(request())

    assert isinstance(made, Provisioned)
    assert made.source["hostPath"]["path"].startswith(f"{tmp_path}/")
    assert catalogue.deleter(HOST_PATH).delete(volume(**made.source)) == Deleted()
    refused = catalogue.deleter(HOST_PATH).delete(volume(hostPath={"path": "/tmp/x"}))
    assert refused == Failed(f"host_path deleter only supports {tmp_path}/.+ but received provided /tmp/x")


@pytest.mark.parametrize("root", ["data", "/", "//", "/data/../etc"])
def test_a_root_that_is_no_directory_below_the_root_is_refused(root: str) -> None:
    with pytest.raises(OptionError, match="--hostpath-root"):
        load_plugins(ControllerOptions(hostpath_root=root))
