"""`pvbinder up --load` and `pvbinder export` as processes: a copy of a cluster that goes on where the other was."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.insight.test_export import by_name
from tests.server.api.test_loading import BACKUP, CLAIM, DEFINITION, VOLUME, changed, without_revision
from tools.plane import running

pytestmark = pytest.mark.slow  # each starts processes

DEADLINE_SECONDS = 60


def pvbinder(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pvbinder.cli.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False, **options)


def dump(path: Path, *documents: dict[str, Any]) -> str:
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents}))
    return str(path)


def test_a_cluster_exported_and_loaded_is_the_same_cluster(tmp_path: Path) -> None:
    with running(tmp_path / "one", ["--apply", "examples/quickstart"]) as one:
        first = pvbinder("export", "--kubeconfig", str(one.kubeconfig), str(tmp_path / "one.yaml"))
    assert first.returncode == 0, first.stderr
    assert stat.S_IMODE((tmp_path / "one.yaml").stat().st_mode) == 0o600
    with running(tmp_path / "two", ["--bare", "--controllers=", "--load", str(tmp_path / "one.yaml")]) as two:
        second = pvbinder("export", "--kubeconfig", str(two.kubeconfig), "-o", "json")
    assert second.returncode == 0, second.stderr
    before = by_name(yaml.safe_load((tmp_path / "one.yaml").read_text())["items"])
    assert by_name(json.loads(second.stdout)["items"]) == before
    stored = pvbinder("export", "--data-dir", str(tmp_path / "two"))
    assert by_name(yaml.safe_load(stored.stdout)["items"]) == before


def test_plane_5_controllers_find_what_was_loaded_whole(tmp_path: Path) -> None:
    held = without_revision(CLAIM)
    del held["metadata"]["deletionTimestamp"], held["metadata"]["deletionGracePeriodSeconds"]
    parts = [dump(tmp_path / f"{number}.json", each) for number, each in enumerate((VOLUME, held))]
    flags = [word for part in parts for word in ("--load", part)]
    with running(tmp_path / "data", ["--bare", *flags]) as plane:
        found = pvbinder("export", "--kubeconfig", str(plane.kubeconfig), "-o", "json")
    objects = by_name(json.loads(found.stdout)["items"])
    assert (
        objects["PersistentVolumeClaim", "shop", "orders"] == by_name([held])["PersistentVolumeClaim", "shop", "orders"]
    )
    assert objects["PersistentVolume", "", "disk-7"] == by_name([VOLUME])["PersistentVolume", "", "disk-7"]


def test_custom_kinds_and_standard_input_can_be_loaded(tmp_path: Path) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [BACKUP, DEFINITION]})
    command = ["up", "--ephemeral", "--bare", "--port", "0", "--load", "-", "--"]
    export = [sys.executable, "-m", "pvbinder.cli.main", "export", "-o", "json"]
    done = pvbinder(*command, *export, input=text)
    assert done.returncode == 0, done.stderr
    found = by_name(json.loads(done.stdout)["items"])
    assert found["Backup", "shop", "nightly"]["spec"] == {"claim": "orders"}
    again = pvbinder(*command, *export, input=done.stdout)  # pvbinder export | pvbinder up --load -
    assert again.returncode == 0, again.stderr
    assert by_name(json.loads(again.stdout)["items"])["Backup", "shop", "nightly"] == found["Backup", "shop", "nightly"]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (
            changed(CLAIM, "spec.accessModes", []),
            "bad.json: PersistentVolumeClaim shop/orders: spec.accessModes: Required",
        ),
        ({"metadata": {"name": "x"}}, "bad.json has something that is no Kubernetes object"),
    ],
    ids=["an object that is invalid", "no object"],
)
def test_what_cannot_be_loaded_is_named_in_words(tmp_path: Path, document: dict[str, Any], words: str) -> None:
    bad = dump(tmp_path / "bad.json", document)
    done = pvbinder("up", "--data-dir", str(tmp_path / "data"), "--load", bad, "--", "true")
    assert done.returncode == 3
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_loaded_into_a_directory_in_use(tmp_path: Path) -> None:
    good = dump(tmp_path / "good.json", VOLUME)
    flags = ["up", "--bare", "--port", "0", "--data-dir", str(tmp_path / "data"), "--load", good, "--", "true"]
    assert pvbinder(*flags).returncode == 0
    again = pvbinder(*flags)
    assert again.returncode == 2
    assert "can't be loaded where there are some" in again.stderr


def test_export_says_what_is_wrong(tmp_path: Path) -> None:
    nowhere = pvbinder("export", "--data-dir", str(tmp_path / "none"))
    assert (nowhere.returncode, nowhere.stdout) == (2, "")
    assert "is no data directory of pvbinder" in nowhere.stderr
    both = pvbinder("export", "--data-dir", str(tmp_path), "--context", "x")
    assert both.returncode == 2
    with running(tmp_path / "data"):
        busy = pvbinder("export", "--data-dir", str(tmp_path / "data"))
        assert busy.returncode == 2
        assert "another pvbinder is running" in busy.stderr
