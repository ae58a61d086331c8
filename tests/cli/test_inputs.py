"""Files of every form as they are typed: explain -f, up --load, and kubectl's plugin."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from tests.sources.etcd_history import HISTORY_REVISIONS, history
from tests.sources.etcd_writer import puts, written
from tests.sources.objects import SHOP, Document, claim
from tests.sources.test_collected import VELERO, as_archive

from pvbinder.cli.main import run

RECORDED = Path(__file__).parent.parent / "sources" / "data" / "etcd-snapshot.db.gz"


@pytest.fixture
def snapshot(tmp_path: Path) -> str:
    """A snapshot of a real etcd."""
    path = tmp_path / "snapshot.db"
    path.write_bytes(gzip.decompress(RECORDED.read_bytes()))
    return str(path)


def test_explain_answers_from_a_snapshot_of_etcd(snapshot: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "pvc", "orders", "-n", "shop", "-f", snapshot]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("shop/orders is Bound: ")
    assert "1 value of secrets encrypted (aescbc), left out" in said.err


def test_explain_answers_as_of_a_revision(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later: list[Document] = [{**claim("waits"), "metadata": {**claim("waits")["metadata"], "name": "later"}}]
    path = written(tmp_path / "etcd.db", puts([*SHOP, *later]))
    assert run(["explain", "pvc", "later", "-n", "shop", "-f", path]) == 0
    assert run(["explain", "pvc", "later", "-n", "shop", "-f", path, "--at-revision", "6"]) == 2
    assert "there is no claim 'later'" in capsys.readouterr().err
    assert run(["explain", "-A", "-f", path, "--at-revision", "99"]) == 2
    assert "has no revision 99 yet" in capsys.readouterr().err


def test_explain_chooses_one_of_two_clusters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = puts([claim("a")]) + puts([claim("a")], "/staging")
    path = written(tmp_path / "etcd.db", both)
    assert run(["explain", "-A", "-f", path]) == 2
    assert "--etcd-prefix" in capsys.readouterr().err
    assert run(["explain", "-A", "-f", path, "--etcd-prefix", "/staging"]) == 1


def test_explain_answers_from_a_backup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "-A", "-f", as_archive(VELERO, tmp_path)]) == 0
    assert capsys.readouterr().out == "1 claim: 1 is bound\n"


@pytest.mark.parametrize("command", ["explain", "up"])
@pytest.mark.parametrize("flag", ["--at-revision=3", "--etcd-prefix=/a"])
def test_an_option_about_files_needs_one(command: str, flag: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, flag]) == 2
    assert f"{flag.partition('=')[0]} is about a file, and none is named" in capsys.readouterr().err


@pytest.mark.slow
def test_up_begins_with_a_snapshot_of_etcd(snapshot: str, tmp_path: Path) -> None:
    """Custom resources come with their definition, all of it at the revision that is asked for."""
    export = [sys.executable, "-m", "pvbinder.cli.main", "export", "-o", "json"]
    up = [sys.executable, "-m", "pvbinder.cli.main", "up", "--ephemeral", "--bare", "--port", "0", "--controllers="]
    at = str(HISTORY_REVISIONS - 2)  # before the widget was deleted
    done = subprocess.run(
        [*up, "--load", snapshot, "--at-revision", at, "--", *export], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found = {(each["kind"], each["metadata"]["name"]): each for each in json.loads(done.stdout)["items"]}
    assert found["PersistentVolumeClaim", "orders"]["status"]["phase"] == "Bound"
    assert found["Widget", "w"]["spec"] == {"size": 3}
    deleted = {change[0].rpartition("/")[2] for change in history() if change[1] is None}
    made_again = {f"m-{number:04}" for number in range(0, 900, 25)}
    assert not [name for kind, name in found if kind == "ConfigMap" and name in deleted - made_again]


@pytest.mark.kubectl
@pytest.mark.slow
def test_kubectl_has_the_commands_as_a_plugin(snapshot: str, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "kubectl-pvbinder"
    script.parent.mkdir()
    script.write_text(f"#!{sys.executable}\nfrom pvbinder.cli.entry import main\nmain()\n")
    script.chmod(0o700)
    path = f"{script.parent}:{os.environ['PATH']}"
    command = ["kubectl", "pvbinder", "explain", "pvc", "orders", "-n", "shop", "-f", snapshot]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "PATH": path})
    assert (done.returncode, done.stdout.partition(":")[0]) == (0, "shop/orders is Bound"), done.stderr


def test_the_package_brings_the_plugin_under_kubectls_name() -> None:
    import tomllib

    top = Path(__file__).parent.parent.parent
    scripts = tomllib.loads((top / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts["kubectl-pvbinder"] == scripts["pvbinder"]
    assert [each.value for each in entry_points(group="console_scripts", name="pvbinder")] == [scripts["pvbinder"]]
