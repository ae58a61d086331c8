"""kubectl as it is installed: create, watch, patch, apply on either side, scale and delete."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from tests.clients.objects import claim, config_map, volume
from tools.plane import RunningPlane

PATIENCE_SECONDS = 30
OLDER = "horizontalpodautoscalers.v1.autoscaling"
pytestmark = pytest.mark.kubectl


class Kubectl:
    """kubectl, with the plane's kubeconfig."""

    def __init__(self, plane: RunningPlane) -> None:
        self.environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}

    def run(self, *arguments: str, document: Any = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", *arguments],
            input=None if document is None else json.dumps(document),
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            env=self.environment,
            check=False,
        )

    def __call__(self, *arguments: str, document: Any = None) -> str:
        done = self.run(*arguments, document=document)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def kubectl(plane: RunningPlane) -> Kubectl:
    return Kubectl(plane)


def test_a_claim_is_created_watched_bound_patched_and_deleted(kubectl: Kubectl) -> None:
    name = "jsonpath={.metadata.name}"
    assert kubectl("create", "-f", "-", "-o", name, document=claim("told", app="ctl")) == "told"
    watching = ["kubectl", "get", "pvc", "-l", "app=ctl", "--watch", "--output-watch-events", "-o", "json"]
    with subprocess.Popen(watching, stdout=subprocess.PIPE, text=True, env=kubectl.environment) as watch:
        kubectl("create", "-f", "-", document=volume("disk-ctl", "told"))
        kubectl("wait", "pvc/told", "--for=jsonpath={.status.phase}=Bound", f"--timeout={PATIENCE_SECONDS}s")
        kubectl("patch", "pvc", "told", "--type=merge", "-p", '{"metadata":{"labels":{"size":"s"}}}')
        assert kubectl("get", "pvc", "told", "-o", "jsonpath={.spec.volumeName}") == "disk-ctl"
        assert kubectl("delete", "pvc", "told", "-o", "name") == "persistentvolumeclaim/told"
        assert watch.stdout is not None
        decoder, text, seen = json.JSONDecoder(), "", []
        while "DELETED" not in seen:
            text = (text + watch.stdout.readline()).lstrip()
            try:
                event, end = decoder.raw_decode(text)
            except ValueError:
                continue
            text = text[end:]
            seen.append(event["type"])
        watch.terminate()
    assert (seen[0], seen[-1]) == ("ADDED", "DELETED")
    assert kubectl.run("get", "pvc", "told").stderr.strip() == (
        'Error from server (NotFound): persistentvolumeclaims "told" not found'
    )


def test_apply_works_on_the_clients_side_and_on_the_servers(kubectl: Kubectl) -> None:
    assert kubectl("apply", "-f", "-", document=config_map("applied", a="1")) == "configmap/applied created"
    assert kubectl("apply", "-f", "-", document=config_map("applied", a="1")) == "configmap/applied unchanged"
    assert kubectl("apply", "-f", "-", document=config_map("applied", b="2")) == "configmap/applied configured"
    assert json.loads(kubectl("get", "cm", "applied", "-o", "jsonpath={.data}")) == {"b": "2"}
    server = ("apply", "--server-side", "-f", "-")
    assert kubectl(*server, document=config_map("applied", b="3")) == "configmap/applied serverside-applied"
    refused = kubectl.run(*server, "--field-manager=other", document=config_map("applied", b="4"))
    assert refused.returncode == 1
    assert 'conflict with "kubectl": .data.b' in refused.stderr
    kubectl(*server, "--field-manager=other", "--force-conflicts", document=config_map("applied", b="4"))
    assert json.loads(kubectl("get", "cm", "applied", "-o", "jsonpath={.data}")) == {"b": "4"}
    assert kubectl("delete", "cm", "applied", "-o", "name") == "configmap/applied"


def test_what_kubectl_scales_it_owns(kubectl: Kubectl) -> None:
    kubectl("create", "deployment", "web", "--image=web", "--replicas=1")
    assert kubectl("scale", "deployment/web", "--replicas=3") == "deployment.apps/web scaled"
    found = json.loads(kubectl("get", "deployment", "web", "-o", "json", "--show-managed-fields"))
    assert found["spec"]["replicas"] == 3
    owners = {
        (entry["manager"], entry.get("subresource"))
        for entry in found["metadata"]["managedFields"]
        if "f:replicas" in entry["fieldsV1"].get("f:spec", {})
    }
    assert owners == {("kubectl", "scale")}
    kubectl("autoscale", "deployment", "web", "--max=5", "--cpu-percent=50")
    shown = kubectl("get", OLDER, "web", "-o", "jsonpath={.spec.targetCPUUtilizationPercentage}")
    assert shown == "50"
    kubectl("delete", "hpa/web", "deployment/web")
