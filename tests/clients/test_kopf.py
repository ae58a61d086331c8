"""An operator written with kopf, as its own process: handlers, a timer, events and a finalizer."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubernetes import client, config, watch
from tools.plane import RunningPlane

OPERATOR = Path(__file__).parent / "operator_for_kopf.py"
PATIENCE_SECONDS = 60
BACKUPS = ("example.com", "v1", "default", "backups")


@contextmanager
def operating(plane: RunningPlane, log: Path) -> Iterator[None]:
    """Run the operator."""
    environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig)}
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace", "default", str(OPERATOR)]
    with log.open("w") as to:
        process = subprocess.Popen(command, env=environment, stdout=to, stderr=to)
        try:
            yield
        finally:
            process.terminate()
            process.wait(PATIENCE_SECONDS)


def changes(custom: Any) -> Iterator[dict[str, Any]]:
    return iter(watch.Watch().stream(custom.list_namespaced_custom_object, *BACKUPS, timeout_seconds=PATIENCE_SECONDS))


def applied_by(core: client.CoreV1Api, manager: str) -> dict[str, Any]:
    """The fields of the config map that the operator applies which are this manager's."""
    entries = core.read_namespaced_config_map("claim-of-n", "default").metadata.managed_fields
    (entry,) = (one for one in entries if (one.manager, one.operation) == (manager, "Apply"))
    fields: dict[str, Any] = entry.fields_v1
    return fields


def test_an_operator_handles_creation_a_field_time_and_deletion_and_applies(
    plane: RunningPlane, tmp_path: Path
) -> None:
    with config.new_client_from_config(str(plane.kubeconfig)) as api, operating(plane, tmp_path / "log"):
        core, custom = client.CoreV1Api(api), client.CustomObjectsApi(api)
        body = {"apiVersion": "example.com/v1", "kind": "Backup", "metadata": {"name": "n"}, "spec": {"claim": "a"}}
        custom.create_namespaced_custom_object(*BACKUPS, body)
        asked_for_another = False
        types = []
        for event in changes(custom):
            types.append(event["type"])
            found = event["object"]
            status = found.get("status", {})
            if event["type"] == "DELETED":
                break
            if status.get("ticks") == 3 and status.get("make") and status.get("claim") == "a" and not asked_for_another:
                asked_for_another = True
                assert found["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"]
                assert applied_by(core, "backup-operator") == {"f:data": {"f:claim": {}}}
                assert "conflicts" not in status
                core.patch_namespaced_config_map("claim-of-n", "default", {"data": {"claim": "x", "mine": "1"}})
                custom.patch_namespaced_custom_object(*BACKUPS, "n", {"spec": {"claim": "b"}})
            elif status.get("claim") == "b" and "deletionTimestamp" not in found["metadata"]:
                assert status["conflicts"] == 1, "what somebody else wrote meanwhile was a conflict"
                assert core.read_namespaced_config_map("claim-of-n", "default").data == {"claim": "b", "mine": "1"}
                assert applied_by(core, "backup-operator") == {"f:data": {"f:claim": {}}}
                custom.delete_namespaced_custom_object(*BACKUPS, "n")
        assert types[-1] == "DELETED", (tmp_path / "log").read_text()
        assert core.read_namespaced_config_map("was-n", "default").metadata.uid
        events = watch.Watch().stream(
            core.list_namespaced_event,
            "default",
            field_selector="involvedObject.name=n,reason=Copied",
            timeout_seconds=PATIENCE_SECONDS,
        )
        assert next(events)["object"].message == "written to of-n"
        events.close()
