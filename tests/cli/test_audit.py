"""`pvbinder audit` as it is typed: levels and exit codes, silencing, forms, mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pvbinder.cli.main import run

DUMP = """\
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec: {capacity: {storage: 20Gi}, accessModes: [ReadWriteOnce], storageClassName: fast, hostPath: {path: /a},
       persistentVolumeReclaimPolicy: Retain, claimRef: {namespace: shop, name: invoices, uid: x}}
status: {phase: Released}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
"""
FAULT = """\
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: orders, namespace: shop}
spec: {accessModes: [ReadWriteOnce], storageClassName: fats, resources: {requests: {storage: 10Gi}}}
"""


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.yaml"
    path.write_text(DUMP)
    return path


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    path = tmp_path / "faulty.yaml"
    path.write_text(DUMP + FAULT)
    return path


def test_audit_command_1_the_exit_code_goes_by_the_level(dump: Path, faulty: Path) -> None:
    assert run(["audit", "-f", str(dump)]) == 0
    assert run(["audit", "-f", str(dump), "--fail-on", "warning"]) == 1
    assert run(["audit", "-f", str(faulty)]) == 1
    assert run(["audit", "-f", str(faulty), "--fail-on", "never"]) == 0
    assert run(["audit", "-f", str(faulty), "--code", "PVB201"]) == 0


def test_a_claim_that_cant_be_read_isnt_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(FAULT.replace("10Gi", "ten"))
    assert run(["audit", "-f", str(path)]) == 1
    assert "left out" in capsys.readouterr().err


def test_the_text_says_what_is_wrong_and_the_way_out(faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["audit", "-f", str(faulty)])
    out = capsys.readouterr().out
    assert out.startswith("1 error, 1 warning")
    assert out.index("error PVB102") < out.index("warning PVB201")
    assert "did you mean fast?" in out
    assert "kubectl patch pv disk" in out


def test_audit_command_2_a_baseline_is_all_that_is_written(
    faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(tmp_path.iterdir())
    baseline = tmp_path / "known.json"
    assert run(["audit", "-f", str(faulty), "--write-baseline", str(baseline)]) == 0
    assert sorted(tmp_path.iterdir()) == sorted([*before, baseline])
    assert run(["audit", "-f", str(faulty), "--baseline", str(baseline), "--fail-on", "information"]) == 0
    capsys.readouterr()
    faulty.write_text(DUMP)
    assert run(["audit", "-f", str(faulty), "--baseline", str(baseline)]) == 0
    assert "of the baseline are gone" in capsys.readouterr().err


def test_a_rule_file_silences_with_a_reason(faulty: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text("silence:\n- {code: PVB102, name: ord*, reason: the class comes tomorrow, until: 2999-01-01}\n")
    assert run(["audit", "-f", str(faulty), "--rules", str(rules)]) == 0
    assert "silenced" in capsys.readouterr().out
    run(["audit", "-f", str(faulty), "--rules", str(rules), "-o", "json"])
    told = json.loads(capsys.readouterr().out)
    assert {each["code"]: each.get("silenced", "") for each in told["findings"]}["PVB102"] == "the class comes tomorrow"


def test_prices_are_put_on_waste(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices = tmp_path / "prices.yaml"
    prices.write_text("fast: 0.1\n")
    run(["audit", "-f", str(dump), "--prices", str(prices)])
    assert "cost of a month: 2.00" in capsys.readouterr().out


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_files_and_lines_are_told(form: str, faulty: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["audit", "-f", str(faulty), "-o", form])
    out = capsys.readouterr().out
    json.loads(out)
    assert "faulty.yaml" in out
    assert "14" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help-finding", "PVB999"], "there is no finding"),
        (["--code", "xyz"], "there is no finding"),
        (["-f", "nothing.yaml"], "nothing.yaml"),
        (["--rules", "nothing.yaml"], "nothing.yaml"),
        (["--baseline", "nothing.json"], "nothing.json"),
        (["-f", "x.yaml", "--context", "prod"], "don't go with it"),
        (["-f", "x.yaml", "--csi-address", "/run/csi.sock"], "doesn't go with it"),
        (["--csi-address", "ftp://x"], "--csi-address"),
    ],
)
def test_a_mistake_is_told(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", *arguments]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("content", ["fast: [1", "fast: dear", "- 1", "\x00", "silence: many"])
def test_broken_files_end_in_words(
    content: str, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "broken"
    broken.write_text(content)
    for option in ("--prices", "--rules", "--baseline"):
        assert run(["audit", "-f", str(dump), option, str(broken)]) == 2
        assert "broken" in capsys.readouterr().err


def test_the_help_of_a_finding_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["audit", "--help-finding", "pvb203"]) == 0
    assert "PVB203" in capsys.readouterr().out


def test_an_audit_imports_no_grpc() -> None:
    """It takes half of the time in which an audit of a small dump is done."""
    code = "import sys, pvbinder.audit.find; sys.exit('grpc' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_input_without_objects_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.yaml"
    empty.write_text("---\n# Source: nothing\n---\n")
    assert run(["audit", "-f", str(empty)]) == 0
    assert f"note: there are no objects in {empty}" in capsys.readouterr().err
    assert run(["plan", "-f", str(empty), "--against", str(empty)]) == 2
    assert f"there are no objects in {empty}" in capsys.readouterr().err
