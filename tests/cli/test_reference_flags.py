"""The flags of the reference's sidecars: each works, or is passed over or refused in words."""

from __future__ import annotations

from typing import Any

import click
import pytest

from pvbinder.cli import control as controls
from pvbinder.cli.csi import csi, roles_of
from pvbinder.cli.csi_flags import GATES
from pvbinder.cli.election_flags import read_labels
from pvbinder.cli.errors import EXIT_USAGE, WrongUsageError
from pvbinder.cli.main import run
from pvbinder.cli.options import ControlOptions
from pvbinder.cli.reference_flags import PASSED_OVER, as_here, master_of

COMMON = {
    "csi-address": "/run/csi/socket",
    "http-endpoint": "",
    "kube-api-burst": None,
    "kube-api-qps": None,
    "kubeconfig": None,
    "leader-election": False,
    "leader-election-labels": "",
    "leader-election-lease-duration": 15.0,
    "leader-election-namespace": "",
    "leader-election-renew-deadline": 10.0,
    "leader-election-retry-period": 5.0,
    "metrics-address": "",
    "metrics-path": "/metrics",
    "version": None,
}
PROVISIONER = {
    "capacity-for-immediate-binding": False,
    "capacity-ownerref-level": 1,
    "capacity-poll-interval": 60.0,
    "capacity-threads": 1,
    "cloning-protection-threads": 1,
    "controller-publish-readonly": False,
    "default-fstype": "",
    "enable-capacity": False,
    "extra-create-metadata": False,
    "feature-gates": "",
    "immediate-topology": True,
    "kube-api-capacity-burst": 5,
    "kube-api-capacity-qps": 1.0,
    "master": "",
    "node-deployment": False,
    "node-deployment-base-delay": 20.0,
    "node-deployment-immediate-binding": True,
    "node-deployment-max-delay": 60.0,
    "prevent-volume-mode-conversion": True,
    "retry-interval-max": 300.0,
    "retry-interval-start": 1.0,
    "strict-topology": False,
    "volume-name-prefix": "pvc",
    "volume-name-uuid-length": -1,
    "worker-threads": None,  # of each role its own
}
OTHERS = {
    "extra-modify-metadata": False,
    "handle-volume-inuse-error": True,
    "workers": 10,
    "snapshot-name-prefix": "snapshot",
    "snapshot-name-uuid-length": -1,
    "timeout": None,  # of each role its own
    "enable-distributed-snapshotting": False,
}
THEIRS = {
    *("enable-pprof", "snapshot-orphan-sweep-interval", "resync-period", "groupsnapshot-name-prefix"),
    *("groupsnapshot-name-uuid-length", "retry-crd-interval-max", "automaxprocs", "vmodule", "log-flush-frequency"),
    *("log-text-split-stream", "log-text-info-buffer-size", "log-json-split-stream", "log-json-info-buffer-size"),
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[ControlOptions, Any]]:
    """What `pvbinder csi` is asked to do, in place of doing it: options, and the sidecar that is declared."""
    found: list[tuple[ControlOptions, Any]] = []

    def control(options: ControlOptions, known: Any) -> int:
        found.append((options, known))
        return 0

    monkeypatch.setattr(controls, "control", control)
    return found


@pytest.fixture
def sidecar(monkeypatch: pytest.MonkeyPatch, asked: list[tuple[ControlOptions, Any]]) -> list[Any]:
    """The options of the sidecar that is declared."""
    found: list[Any] = []
    monkeypatch.setattr("pvbinder.controllers.csi.declaration.declare_sidecar", lambda *said: found.append(said[1]))
    return found


def test_refflags_1_every_flag_is_known_with_its_default() -> None:
    known = {name.removeprefix("--") for option in csi.params for name in option.opts}
    wanted = COMMON | PROVISIONER | OTHERS
    assert known >= wanted.keys() | THEIRS
    found = csi.make_context("csi", []).params
    assert {name: found.get(name.replace("-", "_")) for name in wanted} == wanted
    assert set(PASSED_OVER) == THEIRS


def test_refflags_1_flags_may_be_written_as_go_takes_them() -> None:
    known = {"csi-address", "verbosity", "log-format", "timeout"}
    written = [
        "-v=5",
        "--v=5",
        "-v",
        "5",
        "-csi-address=/a",
        "-csi-address",
        "-v",
        "--logging-format=json",
        "-timeout=-1s",
    ]
    assert as_here(written, known) == [
        *("--verbosity=5", "--verbosity=5", "--verbosity", "5", "--csi-address=/a", "--csi-address", "--verbosity"),
        *("--log-format=json", "--timeout=-1s"),
    ]
    assert as_here(["-unheard", "--of=1", "-h", "text"], known) == ["-unheard", "--of=1", "-h", "text"]


def test_refflags_1_a_manifest_of_the_reference_is_taken(asked: list[tuple[ControlOptions, Any]]) -> None:
    manifest = ["-v=5", "--csi-address=/csi/csi.sock", "--feature-gates=Topology=true", "--leader-election"]
    more = ["-http-endpoint=:8080", "--master=https://plane:6443/", "--leader-election-labels=app:csi,tier:storage"]
    assert run(["csi", *manifest, *more]) == 0
    options, _ = asked[0]
    assert (options.verbosity, options.metrics, options.server) == (5, ("0.0.0.0", 8080), "https://plane:6443")
    assert options.passed_over == ()


def test_refflags_2_what_is_passed_over_is_said_with_the_reason(asked: list[tuple[ControlOptions, Any]]) -> None:
    assert run(["csi", "--enable-pprof", "-resync-period=10m", "--automaxprocs=false"]) == 0
    assert asked[0][0].passed_over == tuple(
        (f"--{name}", PASSED_OVER[name]) for name in PASSED_OVER if name in ("enable-pprof", "resync-period")
    )


def test_requests_have_no_bound_unless_it_is_asked_for(asked: list[tuple[ControlOptions, Any]]) -> None:
    assert run(["csi"]) == 0
    assert run(["csi", "--kube-api-qps=20", "--kube-api-burst=40"]) == 0
    assert [(one.kube_api_qps, one.kube_api_burst) for one, _ in asked] == [(None, None), (20.0, 40)]


def test_each_role_has_the_limits_of_its_sidecar(sidecar: list[Any]) -> None:
    assert run(["csi"]) == 0
    assert run(["csi", "--timeout=3s", "--worker-threads=7"]) == 0
    usual, said = sidecar
    assert (usual.provisioner.timeout_seconds, usual.resizer.timeout_seconds) == (10.0, 10.0)
    assert (usual.snapshotter.timeout_seconds, usual.timeout_seconds) == (60.0, 10.0)
    assert (usual.provisioner.worker_threads, usual.snapshotter.worker_threads) == (100, 10)
    parts = (said.provisioner, said.resizer, said.snapshotter, said)
    assert {part.timeout_seconds for part in parts} == {3.0}
    assert (said.provisioner.worker_threads, said.snapshotter.worker_threads) == (7, 7)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--enable-distributed-snapshotting"], "leave the snapshotter out with --roles"),
        (["--metrics-address", ":1", "--http-endpoint", ":2"], "only one of --metrics-address and --http-endpoint"),
        (["--master", "plane:6443"], "'plane:6443' is no URL such as https://host:6443"),
        (["--feature-gates", "CSIVolumeGroupSnapshot=true"], "CSIVolumeGroupSnapshot is always off here"),
        (["--feature-gates", "RecoverVolumeExpansionFailure=false"], "is always on here"),
        (["--node-deployment", "--roles", "provisioner,snapshotter"], "only provisioner can be done on each node"),
        (["-v=five"], "'five' is not a valid integer"),
    ],
)
def test_refflags_2_what_would_be_lost_is_refused(
    arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["csi", *arguments]) == EXIT_USAGE
    assert told in capsys.readouterr().err


def test_on_each_node_volumes_are_provisioned_and_nothing_else_is_done() -> None:
    assert roles_of(None, on_nodes=True) == "provisioner"
    assert roles_of(None, on_nodes=False) == "provisioner,resizer,snapshotter"
    assert roles_of("provisioner", on_nodes=True) == "provisioner"
    with pytest.raises(WrongUsageError):
        roles_of("resizer", on_nodes=True)


def test_labels_of_leases_are_written_in_either_way() -> None:
    assert read_labels("a:b, c=d", "--l") == (("a", "b"), ("c", "d"))
    for wrong in ("a", ":b", "a:b:c", "a=b=c"):
        with pytest.raises(WrongUsageError):
            read_labels(wrong, "--l")


def test_the_address_of_a_server_is_checked() -> None:
    assert master_of("") == ""
    assert master_of("http://[::1]:8080/") == "http://[::1]:8080"
    with pytest.raises(WrongUsageError):
        master_of("https://\n")


def test_the_version_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["csi", "--version"]) == 0
    assert capsys.readouterr().out.startswith("pvbinder ")


def test_every_gate_of_the_reference_is_known() -> None:
    theirs = {"Topology", "CrossNamespaceVolumeDataSource", "VolumeAttributesClass", "ReleaseLeaderElectionOnExit"}
    assert set(GATES) == theirs | {"AnnotateFsResize", "RecoverVolumeExpansionFailure", "CSIVolumeGroupSnapshot"}
    assert isinstance(csi, click.Group)
