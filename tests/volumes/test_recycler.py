"""The recycler pod: its template, its copy for one volume, and how long it may run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.volumes.objects import volume

from pvbinder.model.json import Json
from pvbinder.volumes.nfs import NfsPlugin
from pvbinder.volumes.plugin import RunPod
from pvbinder.volumes.recycler import (
    RecyclerSettings,
    RecyclerTemplateError,
    default_template,
    read_template,
    recycler_pod,
)

SOURCE = {"hostPath": {"path": "/tmp/x"}}


def test_the_default_pod_is_the_references_and_gets_no_token() -> None:
    """RY-7, RY-12, RY-13."""
    assert recycler_pod(volume("disk-1"), RunPod(default_template(), SOURCE, 60)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "recycler-for-disk-1", "namespace": "default"},
        "spec": {
            "activeDeadlineSeconds": 60,
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,  # ours
            "volumes": [{"name": "vol", "hostPath": {"path": "/tmp/x"}}],
            "containers": [
                {
                    "name": "pv-recycler",
                    "image": "registry.k8s.io/build-image/debian-base:bookworm-v1.0.6",
                    "command": ["/bin/sh"],
                    "args": [
                        "-c",
                        'test -e /scrub && find /scrub -mindepth 1 -delete && test -z "$(ls -A /scrub)" || exit 1',
                    ],
                    "volumeMounts": [{"name": "vol", "mountPath": "/scrub"}],
                }
            ],
        },
    }


DEADLINES = {  # (minimum, increment, capacity): seconds
    "nothing": (60, 30, "0", 60),
    "less than a GiB": (60, 30, "1073741823", 60),
    "the minimum wins": (60, 30, "2Gi", 60),
    "whole GiB count": (60, 30, "3Gi", 90),
    "a started one doesn't": (60, 30, "3583Mi", 90),
    "decimal sizes": (0, 30, "10G", 270),
    "a negative size": (60, 30, "-5Gi", 60),
    "large": (300, 30, "1Ti", 30720),
}


@pytest.mark.parametrize(("minimum", "increment", "capacity", "seconds"), DEADLINES.values(), ids=DEADLINES.keys())
def test_how_long_a_recycler_may_run(minimum: int, increment: int, capacity: str, seconds: int) -> None:
    """RY-12."""
    assert RecyclerSettings(minimum, increment).deadline_seconds(volume(capacity=capacity)) == seconds


def test_nfs_is_recycled_with_its_own_timeouts() -> None:
    """RY-12."""
    run = NfsPlugin().recycle(volume(capacity="20Gi", nfs={"server": "nas", "path": "/export", "readOnly": False}))

    assert isinstance(run, RunPod)
    assert run.source == {"nfs": {"server": "nas", "path": "/export"}}
    assert run.deadline_seconds == 600


def test_recycler_1_every_run_has_its_own_copy() -> None:
    template = default_template()
    before = default_template()
    first = recycler_pod(volume("a"), RunPod(template, SOURCE, 60))
    first["spec"]["containers"][0]["image"] = "changed"
    first["spec"]["volumes"][0]["hostPath"]["path"] = "/changed"
    second = recycler_pod(volume("b"), RunPod(template, SOURCE, 60))

    assert template == before
    assert second["metadata"]["name"] == "recycler-for-b"
    assert second["spec"]["volumes"] == [{"name": "vol", "hostPath": {"path": "/tmp/x"}}]
    assert second["spec"]["containers"] == before["spec"]["containers"]


def test_a_template_may_choose_the_namespace_and_the_source_of_its_first_volume_is_replaced() -> None:
    """RY-7, RY-12."""
    template: Json = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "mine", "namespace": "storage", "labels": {"a": "b"}},
        "spec": {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "tools", "emptyDir": {}}], "containers": []},
    }

    pod = recycler_pod(volume("a"), RunPod(template, SOURCE, 77))

    assert pod["metadata"] == {"name": "recycler-for-a", "namespace": "storage", "labels": {"a": "b"}}
    assert pod["spec"]["volumes"] == [{"name": "v", "hostPath": {"path": "/tmp/x"}}, {"name": "tools", "emptyDir": {}}]
    assert pod["spec"]["activeDeadlineSeconds"] == 77


GOOD = """
apiVersion: v1
kind: Pod
metadata: {generateName: mine-}
spec:
  volumes: [{name: vol}]
  containers: [{name: scrub, image: busybox}]
"""


def test_a_template_file_may_be_yaml_or_json(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(GOOD)
    (tmp_path / "pod.json").write_text(
        '{"apiVersion":"v1","kind":"Pod","spec":{"volumes":[{"name":"vol"}],"containers":[]}}'
    )

    assert read_template(str(tmp_path / "pod.yaml"))["metadata"] == {"generateName": "mine-"}
    pod = recycler_pod(volume("a"), RunPod(read_template(str(tmp_path / "pod.json")), SOURCE, 60))
    assert pod["metadata"] == {"name": "recycler-for-a", "namespace": "default"}


BAD = {  # what is wrong with the file: (its text, the error)
    "no volumes": (
        "{apiVersion: v1, kind: Pod, spec: {}}",
        "pod specification ({path}): does not contain any volume(s)",
    ),
    "an empty list of volumes": (
        "{apiVersion: v1, kind: Pod, spec: {volumes: [], containers: []}}",
        "pod specification ({path}): does not contain any volume(s)",
    ),
    "no spec": ("{apiVersion: v1, kind: Pod}", "pod specification ({path}): does not contain any volume(s)"),
    "another kind": ("{apiVersion: v1, kind: Secret}", "failed decoding file: {path}: a Secret is no v1 Pod"),
    "another version": ("{apiVersion: v2, kind: Pod}", "failed decoding file: {path}: a Pod is no v1 Pod"),
    "a list": ("[1, 2]", "failed decoding file: {path}: it holds no v1 Pod"),
    "empty": ("", "file was empty: {path}"),
    "volumes that are none": (
        "{apiVersion: v1, kind: Pod, spec: {volumes: [vol], containers: []}}",
        "failed decoding file: {path}: spec.volumes must be a list of objects",
    ),
    "a map of volumes": (
        "{apiVersion: v1, kind: Pod, spec: {volumes: {name: vol}, containers: []}}",
        "failed decoding file: {path}: spec.volumes must be a list of objects",
    ),
    "containers that are none": (
        "{apiVersion: v1, kind: Pod, spec: {volumes: [{name: vol}], containers: scrub}}",
        "failed decoding file: {path}: spec.containers must be a list of objects",
    ),
    "a namespace that is no text": (
        "{apiVersion: v1, kind: Pod, metadata: {namespace: 1}, spec: {volumes: [{}], containers: []}}",
        "failed decoding file: {path}: metadata.namespace must be a string",
    ),
}


@pytest.mark.parametrize(("text", "error"), BAD.values(), ids=BAD.keys())
def test_recycler_2_a_template_that_cant_be_used_is_found_when_it_is_read(
    tmp_path: Path, text: str, error: str
) -> None:
    path = tmp_path / "pod.yaml"
    path.write_text(text)

    with pytest.raises(RecyclerTemplateError) as raised:
        read_template(str(path))

    assert raised.value.message == error.format(path=path)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"&a [*a]", b"- " * 2000, b"x" * (2 << 20)])
def test_recycler_2_a_file_that_is_no_yaml_is_an_error_too(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pod.yaml"
    path.write_bytes(content)

    with pytest.raises(RecyclerTemplateError, match=str(path)):
        read_template(str(path))


def test_recycler_2_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(RecyclerTemplateError, match=r"failed to read file path /nowhere/pod.yaml: No such file"):
        read_template("/nowhere/pod.yaml")
