"""`pvbinder controller` as a process beside an API server in another: ready, in use, killed, stopped, and misused."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.outside import DEADLINE_SECONDS, request
from tools.plane import RunningController, RunningPlane, access, controlling, running

pytestmark = pytest.mark.slow  # each starts processes

NO_CONTROLLERS = ["--bare", "--controllers="]
COMMAND = [sys.executable, "-m", "pvbinder.cli.main", "controller"]
VOLUMES = "/api/v1/persistentvolumes"
CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RunningPlane]:
    """An API server without any controllers."""
    with running(tmp_path / "data", NO_CONTROLLERS) as plane:
        yield plane


def controller(*flags: str) -> subprocess.CompletedProcess[str]:
    """Run `pvbinder controller` with flags that make it end by itself."""
    return subprocess.run([*COMMAND, *flags], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)


def seen(kubeconfig: Path, path: str, name: str, wanted: Callable[[Any], bool]) -> Any:
    """Watch the object called `name` until it is as `wanted`."""
    url, context = access(kubeconfig)
    query = f"?watch=true&fieldSelector=metadata.name={name}"
    with urllib.request.urlopen(url + path + query, context=context, timeout=DEADLINE_SECONDS) as watch:
        for line in watch:
            event = json.loads(line)
            if wanted(event):
                return event["object"]
    raise AssertionError(f"the watch of {name} ended")


def is_bound(event: Any) -> bool:
    return bool(event["object"]["status"].get("phase") == "Bound")


def make_pair(kubeconfig: Path, name: str) -> None:
    """Create a volume, and a claim that fits it."""
    spec = {"storageClassName": "by-hand", "accessModes": ["ReadWriteOnce"]}
    volume = {**spec, "capacity": {"storage": "1Gi"}, "hostPath": {"path": f"/srv/{name}"}}
    claim = {**spec, "resources": {"requests": {"storage": "1Gi"}}}
    meta = {"apiVersion": "v1", "metadata": {"name": name}}
    request(kubeconfig, VOLUMES, "POST", {**meta, "kind": "PersistentVolume", "spec": volume})
    request(kubeconfig, CLAIMS, "POST", {**meta, "kind": "PersistentVolumeClaim", "spec": claim})


def endpoint(running: RunningController) -> str:
    """The address of the controller's own endpoint, which the first line of its log names."""
    return running.wait_for(" starting ").partition(" metrics=")[2].split()[0].removesuffix("/metrics")


def answer_of(url: str, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url + path, timeout=DEADLINE_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def with_user(kubeconfig: Path, user: dict[str, str], copy: Path) -> Path:
    """Write a copy of `kubeconfig` with other credentials."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"] = [{"name": "kubernetes-admin", "user": user}]
    copy.write_text(yaml.safe_dump(config))
    return copy


# ------------------------------------------------------------------------------------------------------ what it does


def test_control_4_a_claim_is_bound_and_protected_over_https(plane: RunningPlane) -> None:
    with controlling(plane.kubeconfig):
        make_pair(plane.kubeconfig, "orders")
        claim = seen(plane.kubeconfig, CLAIMS, "orders", is_bound)

        assert claim["spec"]["volumeName"] == "orders"
        assert "kubernetes.io/pvc-protection" in claim["metadata"]["finalizers"]
        request(plane.kubeconfig, f"{CLAIMS}/orders", "DELETE")
        seen(plane.kubeconfig, VOLUMES, "orders", lambda event: event["object"]["status"]["phase"] == "Released")


def test_control_5_a_cluster_keeps_its_own_controllers(plane: RunningPlane) -> None:
    with controlling(plane.kubeconfig, wait=False) as controller:
        chosen = controller.wait_for("controllers started").partition(" controllers=")[2].strip().split(",")
    with controlling(plane.kubeconfig, ["--controllers", "pv-protection,kubelet"], wait=False) as controller:
        named = controller.wait_for("controllers started").partition(" controllers=")[2].strip().split(",")

    assert chosen == [
        "persistentvolume-binder-controller",
        "persistentvolumeclaim-protection-controller",
        "persistentvolume-protection-controller",
        "volumeattributesclass-protection-controller",
        "ephemeral-volume-controller",
        "persistentvolume-expander-controller",
    ]
    assert named == ["persistentvolume-protection-controller", "kubelet"]


def test_killed_and_started_again_it_goes_on_where_it_was(plane: RunningPlane) -> None:
    with controlling(plane.kubeconfig) as killed:
        make_pair(plane.kubeconfig, "before")
        seen(plane.kubeconfig, CLAIMS, "before", is_bound)
        killed.process.kill()
        killed.process.wait(DEADLINE_SECONDS)
    bound = request(plane.kubeconfig, f"{CLAIMS}/before")
    request(plane.kubeconfig, VOLUMES + "/before")
    make_pair(plane.kubeconfig, "meanwhile")

    with controlling(plane.kubeconfig):
        claim = seen(plane.kubeconfig, CLAIMS, "meanwhile", is_bound)

    assert claim["spec"]["volumeName"] == "meanwhile"
    assert request(plane.kubeconfig, f"{CLAIMS}/before") == bound


# ------------------------------------------------------------------------------------------------ metrics and health


def test_metrics_and_health_are_answered(plane: RunningPlane) -> None:
    with controlling(plane.kubeconfig, wait=False) as controller:
        url = endpoint(controller)
        controller.wait_for(" ready ")

        assert url.startswith("http://127.0.0.1:")
        assert [answer_of(url, path) for path in ("/healthz", "/livez", "/readyz")] == [(200, "ok")] * 3
        status, text = answer_of(url, "/metrics")
        assert status == 200
        assert 'pvbinder_controller_running{controller="persistentvolume-binder-controller"} 1' in text
        assert answer_of(url, "/api")[0] == 404


def test_its_audit_counts_the_findings_of_the_cluster(plane: RunningPlane) -> None:
    meta = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "nobodys"}}
    released = {"namespace": "shop", "name": "gone", "uid": "9"}
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/srv/x"}}
    request(plane.kubeconfig, VOLUMES, "POST", {**meta, "spec": spec | {"claimRef": released}})
    flags = ["--controllers=", "--audit-interval", "1h"]
    with controlling(plane.kubeconfig, flags, wait=False) as controller:
        url = endpoint(controller)
        controller.wait_for(" audited ")
        status, text = answer_of(url, "/metrics")
    assert status == 200
    assert 'pvbinder_finding{code="PVB202",level="error"} 1' in text
    assert 'pvbinder_finding{code="PVB101",level="error"} 0' in text


def test_they_can_be_switched_off(plane: RunningPlane) -> None:
    with controlling(plane.kubeconfig, ["--no-metrics"], wait=False) as controller:
        assert "metrics=none" in controller.wait_for(" starting ")
        controller.wait_for(" ready ")


def test_a_port_that_is_taken_is_said_so(plane: RunningPlane) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        finished = controller("--kubeconfig", str(plane.kubeconfig), "--metrics-port", port)

    assert finished.returncode == 2
    assert f"can't listen on 127.0.0.1 port {port}" in finished.stderr
    assert "--metrics-port" in finished.stderr
    assert "Traceback" not in finished.stderr


# ------------------------------------------------------------------------------------------------ the server's absence


def test_control_1_it_waits_for_a_server_that_is_not_there_yet(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path / "data", NO_CONTROLLERS, port=port) as plane:
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(plane.kubeconfig.read_text())
    with controlling(kubeconfig, wait=False) as controller:
        url = endpoint(controller)
        line = controller.wait_for("API server doesn't answer")
        assert "Connection refused" in line
        assert "again_in_seconds=" in line
        assert (answer_of(url, "/livez")[0], answer_of(url, "/readyz")[0]) == (200, 500)

        with running(tmp_path / "data", NO_CONTROLLERS, port=port) as plane:
            controller.wait_for(" ready ")
            assert answer_of(url, "/readyz") == (200, "ok")
            make_pair(plane.kubeconfig, "orders")
            seen(plane.kubeconfig, CLAIMS, "orders", is_bound)


def test_control_1_it_outlives_a_server_that_goes_away(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path / "data", NO_CONTROLLERS, port=port) as plane:
        kubeconfig = plane.kubeconfig
        with controlling(kubeconfig) as controller:
            plane.process.kill()
            plane.process.wait(DEADLINE_SECONDS)
            assert "resource=" in controller.wait_for("watch interrupted")
            with running(tmp_path / "data", NO_CONTROLLERS, port=port):
                make_pair(kubeconfig, "orders")
                seen(kubeconfig, CLAIMS, "orders", is_bound)

    assert controller.process.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_control_3_a_signal_stops_it_cleanly(plane: RunningPlane, number: signal.Signals) -> None:
    with controlling(plane.kubeconfig) as controller:
        controller.process.send_signal(number)

        assert controller.process.wait(DEADLINE_SECONDS) == 0
        assert controller.log().endswith(" stopped\n")
        assert "Traceback" not in controller.log()


def test_control_3_also_before_the_server_answers(tmp_path: Path, plane: RunningPlane) -> None:
    config = yaml.safe_load(plane.kubeconfig.read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{free_port()}"
    (tmp_path / "nowhere").write_text(yaml.safe_dump(config))
    with controlling(tmp_path / "nowhere", wait=False) as controller:
        controller.wait_for("API server doesn't answer")
        controller.process.send_signal(signal.SIGTERM)

        assert controller.process.wait(DEADLINE_SECONDS) == 0


# ------------------------------------------------------------------------------------------------------------- misuse


def test_control_2_wrong_credentials_end_it(tmp_path: Path, plane: RunningPlane) -> None:
    kubeconfig = with_user(plane.kubeconfig, {"token": "nonsense"}, tmp_path / "wrong")

    finished = controller("--kubeconfig", str(kubeconfig), "--metrics-port", "0")

    assert finished.returncode == 2
    assert "doesn't know who we are: Unauthorized\n       is the kubeconfig of this server" in finished.stderr
    assert "nonsense" not in finished.stderr


def test_control_2_no_credentials_end_it(tmp_path: Path, plane: RunningPlane) -> None:
    kubeconfig = with_user(plane.kubeconfig, {}, tmp_path / "none")

    finished = controller("--kubeconfig", str(kubeconfig), "--metrics-port", "0")

    assert finished.returncode == 2
    assert "error: " in finished.stderr
    assert "Traceback" not in finished.stderr


MISTAKES = {  # what is wrong: (flags, what is said)
    "no such file": (["--kubeconfig", "/nowhere/kubeconfig"], "error: kubeconfig /nowhere/kubeconfig: No such file"),
    "no such flag": (["--controler", "*"], "No such option"),
    "no such value": (["--pvclaimbinder-sync-period", "soon"], "'soon' is not a duration"),
}


@pytest.mark.parametrize(("flags", "said"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told(flags: list[str], said: str) -> None:
    finished = controller(*flags)

    assert finished.returncode == 2
    assert said in finished.stderr


def test_a_controller_that_there_is_not_and_a_context_that_there_is_not(plane: RunningPlane) -> None:
    kubeconfig = ["--kubeconfig", str(plane.kubeconfig), "--metrics-port", "0"]

    assert "there is no controller 'blinder'" in controller(*kubeconfig, "--controllers", "blinder").stderr
    assert "no context 'staging'" in controller(*kubeconfig, "--context", "staging").stderr


def test_the_log_is_json_if_wanted(plane: RunningPlane) -> None:
    with controlling(plane.kubeconfig, ["--log-format", "json"], wait=False) as running:
        entry = json.loads(running.wait_for('"ready"'))

    assert entry["server"].startswith("https://127.0.0.1:")


# ----------------------------------------------------------------------------------------------------- one of several

ELECT = ["--leader-elect", "--leader-elect-lease-duration", "3s", "--leader-elect-renew-deadline", "2s"]
ELECT += ["--leader-elect-retry-period", "500ms", "--metrics-port", "0"]
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/pvbinder-controller"


def test_control_6_of_two_one_works_and_the_other_takes_over_when_it_dies(plane: RunningPlane) -> None:
    with controlling(plane.kubeconfig, ELECT, wait=False) as first:
        first.wait_for("became leader")
        first.wait_for(" ready ")
        with controlling(plane.kubeconfig, ELECT, wait=False) as second:
            url = endpoint(second)
            second.wait_for("waiting for the lead")
            assert answer_of(url, "/readyz") == (200, "ok")
            assert answer_of(url, "/healthz/leader-election") == (200, "ok")
            first.process.send_signal(signal.SIGSTOP)  # it hangs; nobody can tell that from death
            second.wait_for("became leader")
            second.wait_for(" ready ")
            first.process.send_signal(signal.SIGCONT)
            first.wait_for("error: the lead was lost")
            assert first.process.wait(DEADLINE_SECONDS) == 3
            make_pair(plane.kubeconfig, "orders")
            seen(plane.kubeconfig, CLAIMS, "orders", is_bound)
            second.process.send_signal(signal.SIGTERM)
            assert second.process.wait(DEADLINE_SECONDS) == 0
    lease = request(plane.kubeconfig, LEASE)["spec"]
    assert (lease["holderIdentity"], lease["leaseTransitions"]) == ("", 1)


def test_control_7_a_leader_that_is_stopped_leaves_nothing_half_done_and_the_next_one_begins_at_once(
    plane: RunningPlane,
) -> None:
    names = [f"pair-{number}" for number in range(40)]
    elect = ["--leader-elect", "--leader-elect-retry-period", "500ms", "--metrics-port", "0"]
    with controlling(plane.kubeconfig, elect, wait=False) as first:
        first.wait_for(" ready ")
        with controlling(plane.kubeconfig, elect, wait=False) as second:
            second.wait_for("waiting for the lead")
            for name in names[:20]:
                make_pair(plane.kubeconfig, name)
            first.process.send_signal(signal.SIGTERM)
            for name in names[20:]:
                make_pair(plane.kubeconfig, name)
            assert first.process.wait(DEADLINE_SECONDS) == 0
            second.wait_for(" ready ")
            for name in names:
                assert seen(plane.kubeconfig, CLAIMS, name, is_bound)["spec"]["volumeName"]
            claims = request(plane.kubeconfig, CLAIMS)["items"]
    assert len({claim["spec"]["volumeName"] for claim in claims}) == len(names)
    assert "lease let go" in first.log()
    assert "cut short" not in first.log()


def test_metrics_over_tls_are_for_those_whom_the_server_lets(plane: RunningPlane) -> None:
    port = free_port()
    with controlling(plane.kubeconfig, ["--secure-port", str(port), "--bind-address", "127.0.0.1"]) as controller:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        token = yaml.safe_load(plane.kubeconfig.read_text())["users"][0]["user"]["token"]

        def status(path: str, token: str = "") -> int:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            asked = urllib.request.Request(f"https://127.0.0.1:{port}{path}", headers=headers)
            try:
                with urllib.request.urlopen(asked, context=context, timeout=DEADLINE_SECONDS) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as refused:
                return refused.code

        assert [status("/readyz"), status("/metrics"), status("/metrics", "wrong")] == [200, 403, 401]
        assert status("/metrics", token) == 200
        assert token not in controller.log()


def test_times_of_an_election_that_make_no_sense_are_told() -> None:
    finished = controller("--leader-elect", "--leader-elect-lease-duration", "10s")

    assert finished.returncode == 2
    assert "--leader-elect: the lease's duration must be greater than the renewal's deadline" in finished.stderr
