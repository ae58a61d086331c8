"""A quota on a running control plane, with the controller's own rights, as users see it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tools.plane import running

OBJECTS = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: storage}
spec: {hard: {requests.storage: 10Gi, persistentvolumeclaims: "2", configmaps: "9"}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: orders}
spec: {accessModes: [ReadWriteOnce], storageClassName: "", resources: {requests: {storage: 3Gi}}}
"""


@pytest.mark.kubectl
def test_kubectl_describes_how_much_of_a_quota_is_used(tmp_path: Path) -> None:
    def kubectl(*arguments: str) -> str:
        done = subprocess.run(
            ["kubectl", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            input=OBJECTS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    with running(tmp_path / "data", ["--bare"]) as plane:
        environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}
        kubectl("apply", "-f", "-")
        for name, amount in (("requests.storage", "3Gi"), ("persistentvolumeclaims", "1"), ("configmaps", "1")):
            path = "{.status.used." + name.replace(".", "\\.") + "}"
            kubectl("wait", "quota/storage", f"--for=jsonpath={path}={amount}", "--timeout=30s")
        lines = [line.split() for line in kubectl("describe", "quota", "storage").splitlines()]
        assert ["requests.storage", "3Gi", "10Gi"] in lines
        assert ["persistentvolumeclaims", "1", "2"] in lines
        assert "forbidden" not in plane.log()
