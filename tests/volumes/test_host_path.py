"""The hostPath plugin, on real directories."""

from __future__ import annotations

import os
import re
import stat
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.volumes.objects import request, volume

from pvbinder.volumes import host_path
from pvbinder.volumes.host_path import HostPathPlugin, HostPathSettings
from pvbinder.volumes.plugin import Deleted, Failed, Provisioned, RunPod

UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def plugin(root: Path) -> HostPathPlugin:
    return HostPathPlugin(HostPathSettings(provisioning=True, root=str(root)))


def made(outcome: object) -> Path:
    assert isinstance(outcome, Provisioned)
    return Path(outcome.source["hostPath"]["path"])


def test_provisioning_is_off_unless_a_flag_says_so() -> None:
    """PR-11."""
    off = 'provisioning in volume plugin "kubernetes.io/host-path" is disabled'

    assert HostPathPlugin().identity.unavailable == off
    assert HostPathPlugin(HostPathSettings(provisioning=True)).identity.unavailable is None


def test_hostpath_1_provisioning_makes_a_directory_of_our_own(tmp_path: Path) -> None:
    """PR-13, PR-14: mode 0750 whatever the umask, and the annotation that says who made it."""
    umask = os.umask(0o777)
    try:
        outcome = plugin(tmp_path).provision(request())
    finally:
        os.umask(umask)

    directory = made(outcome)
    assert isinstance(outcome, Provisioned)
    assert re.fullmatch(UUID, directory.name)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o750
    assert outcome.annotations == {"kubernetes.io/createdby": "hostpath-dynamic-provisioner"}


def test_hostpath_1_the_second_attempt_finds_the_directory_of_the_first(tmp_path: Path) -> None:
    host_path = plugin(tmp_path)

    assert made(host_path.provision(request())) == made(host_path.provision(request()))
    assert made(host_path.provision(request(name="pvc-2"))) != made(host_path.provision(request()))


def test_hostpath_1_a_directory_with_files_in_it_is_not_handed_out_again(tmp_path: Path) -> None:
    host_path = plugin(tmp_path)
    first = made(host_path.provision(request()))
    (first / "data").write_text("somebody's")

    second = made(host_path.provision(request()))

    assert second != first
    assert not list(second.iterdir())


def test_hostpath_1_a_link_in_place_of_our_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "root").symlink_to("elsewhere")

    outcome = plugin(tmp_path / "root").provision(request())

    assert isinstance(outcome, Failed)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_hostpath_1_a_link_in_place_of_our_directory_is_not_used(tmp_path: Path) -> None:
    host_path = plugin(tmp_path)
    expected = made(host_path.provision(request()))
    expected.rmdir()
    expected.symlink_to("/etc")

    directory = made(host_path.provision(request()))

    assert directory != expected
    assert directory.is_dir()
    assert not directory.is_symlink()


def test_block_volumes_are_not_provisioned() -> None:
    """PR-13."""
    assert plugin(Path("/nowhere")).provision(request(volume_mode="Block")) == Failed(
        "kubernetes.io/host-path does not support block volume provisioning"
    )


def test_a_place_that_cant_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    outcome = plugin(tmp_path / "file" / "below").provision(request())

    assert outcome == Failed(f"mkdir {tmp_path}/file/below: not a directory")


def test_hostpath_2_deleting_removes_the_directory_and_its_contents(tmp_path: Path) -> None:
    host_path = plugin(tmp_path)
    directory = made(host_path.provision(request()))
    (directory / "deep").mkdir()
    (directory / "deep" / "data").write_text("x")

    assert host_path.delete(volume(hostPath={"path": str(directory)})) == Deleted()
    assert not directory.exists()


def test_hostpath_2_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "valuable").mkdir()
    link = tmp_path / "allowed" / "disk"
    link.symlink_to(tmp_path / "valuable")

    outcome = plugin(tmp_path / "allowed").delete(volume(hostPath={"path": str(link)}))

    assert outcome == Failed(
        f"host_path deleter refuses {link}: {link} is a symbolic link out of {tmp_path}/allowed, to {tmp_path}/valuable"
    )
    assert (tmp_path / "valuable").is_dir()


SEARCHED = {  # a path: the root that the reference's expression finds for it, None if it refuses it
    "/tmp/x": "/tmp",
    "/tmp/hostpath_pv/1": "/tmp",
    "/data/tmp/x": "/data/tmp",
    "/tmp/a/tmp/b": "/tmp",
    "/srv/x": None,
    "/tmp": None,
    "/tmp/": None,
    "/tmpfs/x": None,
    "": None,
}


@pytest.mark.parametrize(("path", "root"), SEARCHED.items(), ids=repr)
def test_by_default_the_expression_of_the_reference_decides(
    path: str, root: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9.3: ``/tmp/.+``, found anywhere in the path."""
    asked: list[tuple[str, str]] = []
    monkeypatch.setattr(host_path, "remove_tree", lambda path, *, root: asked.append((path, root)))

    outcome = HostPathPlugin().delete(volume(hostPath={"path": path}))

    if root is None:
        assert outcome == Failed(f"host_path deleter only supports /tmp/.+ but received provided {path}")
        assert not asked
    else:
        assert outcome == Deleted()
        assert asked == [(path, root)]


def test_a_volume_without_a_directory_is_not_deleted() -> None:  # DL-5
    disk = volume("disk", annotations={"pv.kubernetes.io/provisioned-by": "kubernetes.io/host-path"}, nfs={"path": "/"})
    why = 'failed to create deleter for volume "disk": spec.PersistentVolumeSource.HostPath is nil'
    for plugin in (HostPathPlugin(), HostPathPlugin(HostPathSettings(root="/srv/disks"))):
        assert plugin.delete(disk) == Failed(why)


@pytest.mark.skipif(
    Path(host_path.PROVISION_ROOT).exists() and not os.access(host_path.PROVISION_ROOT, os.W_OK),
    reason="the reference's directory belongs to somebody else here",
)
def test_by_default_directories_are_made_and_deleted_where_the_reference_does(tmp_path: Path) -> None:
    by_default = HostPathPlugin(HostPathSettings(provisioning=True))
    directory = made(by_default.provision(request(name=f"pvc-{uuid.uuid4()}")))
    try:
        assert re.fullmatch(rf"/tmp/hostpath_pv/{UUID}", str(directory))
    finally:
        assert by_default.delete(volume(hostPath={"path": str(directory)})) == Deleted()
    assert not directory.exists()


@pytest.mark.parametrize("path", ["/tmp/x", "{root}", "{root}/", "{root}-2/x", "{root}/../x"])
def test_with_a_root_of_its_own_nothing_else_is_deleted(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "x").mkdir()

    outcome = plugin(root).delete(volume(hostPath={"path": path.format(root=root)}))

    assert isinstance(outcome, Failed)
    assert (tmp_path / "x").is_dir()


def test_hostpath_3_recycling_is_left_to_a_pod() -> None:
    """RY-12, RY-13."""
    run = HostPathPlugin().recycle(volume(capacity="3Gi", hostPath={"path": "/tmp/x", "type": ""}))

    assert isinstance(run, RunPod)
    assert run.source == {"hostPath": {"path": "/tmp/x"}}
    assert run.deadline_seconds == 90


TRAPS = {  # where the path of a volume leads through a link: (the link, what it leads to, the path)
    "the root that was found is a link": ("data/tmp", "valuable", "data/tmp/disk"),
    "the way to that root is a link": ("data", "valuable", "data/tmp/disk"),
    "a link below that root": ("data/tmp/way", "valuable", "data/tmp/way/disk"),
    "the volume itself is a link": ("data/tmp/disk", "valuable/disk", "data/tmp/disk"),
    "the volume itself is a link, with a slash": ("data/tmp/disk", "valuable/disk", "data/tmp/disk/"),
}


@pytest.mark.parametrize(("link", "target", "path"), TRAPS.values(), ids=TRAPS.keys())
def test_hostpath_2_a_root_found_in_the_path_of_a_volume_is_not_trusted(
    tmp_path: Path, link: str, target: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """9.3: the expression finds its root in a text of any user who may create volumes."""
    for place in ("valuable/disk", "valuable/tmp/disk"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "data").write_text("keep")
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / target)
    # As if these directories weren't below /tmp, where the expression would find an earlier root.
    monkeypatch.setattr(host_path, "DELETABLE", re.compile(r"(?<=/data)/tmp/.+"))

    outcome = HostPathPlugin().delete(volume(hostPath={"path": f"{tmp_path}/{path}"}))

    assert isinstance(outcome, Failed)
    assert "is a symbolic link" in outcome.reason
    assert (tmp_path / "valuable" / "disk" / "data").read_text() == "keep"
    assert (tmp_path / "valuable" / "tmp" / "disk" / "data").read_text() == "keep"


def test_hostpath_2_below_tmp_a_link_called_tmp_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "disk").mkdir(parents=True)
    (tmp_path / "tmp").symlink_to("elsewhere")

    outcome = HostPathPlugin().delete(volume(hostPath={"path": f"{tmp_path}/tmp/disk"}))

    assert isinstance(outcome, Failed)
    assert (tmp_path / "elsewhere" / "disk").is_dir()


STRANGE = [
    "/tmp/.",
    "/tmp//",
    "//tmp/",
    "/tmp/..",
    "/tmp/x/../..",
    "/tmp/../etc/tmp/x",
    "data/tmp/x",
    "/tmp/a\0b",
]


@pytest.mark.parametrize("path", STRANGE, ids=ascii)
def test_hostpath_2_a_path_that_names_no_place_below_a_root_is_refused(path: str) -> None:
    assert isinstance(HostPathPlugin().delete(volume(hostPath={"path": path})), Failed)


def test_hostpath_2_names_longer_than_the_system_has_are_an_error_and_no_crash() -> None:
    name = "n" * 5000
    assert HostPathPlugin().delete(volume(hostPath={"path": f"/tmp/{name}"})) == Failed(
        f"remove /tmp/{name}: file name too long"
    )


def test_hostpath_1_a_link_on_the_way_to_our_root_that_others_can_have_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "way").symlink_to("elsewhere")

    tmp_path.chmod(0o1777)
    outcome = plugin(tmp_path / "way" / "root").provision(request())
    assert isinstance(outcome, Failed)
    assert f"{tmp_path}/way is a symbolic link" in outcome.reason
    assert not list((tmp_path / "elsewhere").iterdir())

    tmp_path.chmod(0o755)  # now nobody else can
    directory = made(plugin(tmp_path / "way" / "root").provision(request()))
    assert directory.resolve().is_relative_to(tmp_path / "elsewhere")


@pytest.mark.parametrize("kind", ["link", "link to nothing", "file", "fifo"])
def test_hostpath_1_whatever_takes_the_name_between_two_calls_is_not_used(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "valuable").mkdir(mode=0o700)
    mkdir, taken = os.mkdir, list[Path]()

    def swap(name: str, *arguments: Any, **options: Any) -> None:
        mkdir(name, *arguments, **options)
        if "dir_fd" not in options or taken:
            return
        taken.append(tmp_path / "root" / name)
        taken[0].rmdir()
        if kind.startswith("link"):
            taken[0].symlink_to(tmp_path / ("valuable" if kind == "link" else "gone"))
        elif kind == "file":
            taken[0].touch()
            taken[0].chmod(0o750)
        else:
            os.mkfifo(taken[0], 0o600)

    monkeypatch.setattr(os, "mkdir", swap)
    outcome = plugin(tmp_path / "root").provision(request())

    assert isinstance(outcome, Failed)
    assert stat.S_IMODE((tmp_path / "valuable").stat().st_mode) == 0o700
    assert not (tmp_path / "gone").exists()
