"""kubectl rolls out, undoes, scales, runs jobs and drains on a running plane, with the controllers' own rights."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tools.plane import running

Kubectl = Callable[..., str]
SECOND_NODE = '{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "second"}}'
SETS = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: "db:1"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: c, image: "agent:1"}]}
"""


@contextmanager
def kubectl_on_a_small_cluster(directory: Path) -> Iterator[Kubectl]:
    with running(directory / "data", []) as plane:
        environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}

        def kubectl(*arguments: str, stdin: str = "") -> str:
            done = subprocess.run(
                ["kubectl", *arguments],
                env=environment,
                capture_output=True,
                text=True,
                timeout=90,
                check=False,
                input=stdin,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        yield kubectl
        assert "cannot" not in plane.log(), "every controller may do what it has to"


@pytest.mark.kubectl
@pytest.mark.slow
def test_a_deployment_is_rolled_out_undone_and_drained(tmp_path: Path) -> None:
    with kubectl_on_a_small_cluster(tmp_path) as kubectl:
        kubectl("apply", "-f", "-", stdin=SECOND_NODE)
        kubectl("create", "deployment", "web", "--image=nginx:1", "--replicas=2")
        kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        kubectl("set", "image", "deploy/web", "nginx=nginx:2")
        told = kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        assert told.endswith('deployment "web" successfully rolled out\n')
        assert [line.split()[0] for line in kubectl("rollout", "history", "deploy/web").splitlines()[2:] if line] == [
            "1",
            "2",
        ]
        kubectl("rollout", "undo", "deploy/web")
        kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        image = "jsonpath={.spec.template.spec.containers[0].image}"
        assert kubectl("get", "deploy", "web", "-o", image) == "nginx:1"

        kubectl("scale", "deploy/web", "--replicas=3")
        kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        kubectl("create", "pdb", "web", "--selector=app=web", "--max-unavailable=2")
        kubectl("wait", "pdb/web", "--for=jsonpath={.status.disruptionsAllowed}=2", "--timeout=60s")
        assert kubectl("drain", "local", "--ignore-daemonsets", "--timeout=60s").endswith("node/local drained\n")
        kubectl("rollout", "status", "deploy/web", "--timeout=60s")
        nodes = kubectl("get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].spec.nodeName}")
        assert set(nodes.split()) == {"second"}


@pytest.mark.kubectl
@pytest.mark.slow
def test_jobs_end_and_sets_are_undone(tmp_path: Path) -> None:
    with kubectl_on_a_small_cluster(tmp_path) as kubectl:
        kubectl("create", "cronjob", "tick", "--image=busybox", "--schedule=0 0 1 1 *", "--", "echo", "hi")
        kubectl("create", "job", "by-hand", "--from=cronjob/tick")
        kubectl("wait", "job/by-hand", "--for=condition=complete", "--timeout=60s")
        assert "1/1" in kubectl("get", "job", "by-hand", "--no-headers")

        kubectl("apply", "-f", "-", stdin=SETS)
        for name in ("sts/db", "ds/agent"):
            kubectl("rollout", "status", name, "--timeout=60s")
            kubectl("set", "image", name, "c=new:2")
            kubectl("rollout", "status", name, "--timeout=60s")
            kubectl("rollout", "undo", name)
            kubectl("rollout", "status", name, "--timeout=60s")
            image = kubectl("get", name, "-o", "jsonpath={.spec.template.spec.containers[0].image}")
            assert image in ("db:1", "agent:1")
            revisions = [line.split()[0] for line in kubectl("rollout", "history", name).splitlines()[2:] if line]
            assert revisions == ["2", "3"]
