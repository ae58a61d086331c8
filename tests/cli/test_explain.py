"""`pvbinder explain` as it is typed: the text, the JSON that scripts rely on, exit codes and mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pvbinder.cli.main import run

DUMP = """\
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-4}
spec: {capacity: {storage: 20Gi}, accessModes: [ReadWriteOnce], storageClassName: fast, hostPath: {path: /a},
       claimRef: {namespace: shop, name: invoices, uid: x}}
status: {phase: Released}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-2}
spec: {capacity: {storage: 8Gi}, accessModes: [ReadWriteOnce], storageClassName: fast, hostPath: {path: /a}}
status: {phase: Available}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk-7}
spec: {capacity: {storage: 20Gi}, accessModes: [ReadWriteOnce], storageClassName: slow, hostPath: {path: /a}}
status: {phase: Available}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: orders, namespace: shop}
spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 10Gi}}}
status: {phase: Pending}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {containers: [], volumes: [{name: data, persistentVolumeClaim: {claimName: orders}}]}
status: {phase: Pending}
"""

SET = """\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db}]}}
  volumeClaimTemplates:
  - {metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
"""

TEXT = """\
shop/orders is Pending: no volume fits it and there is no StorageClass "fast"   (SC-U6, PR-2)
  next: nothing, until one of the things below is done
  wants 10Gi, RWO, Filesystem, class fast
  pod web uses it: Pending without a node

  VOLUME   WHY NOT                    RULE
  disk-2   8Gi is less than 10Gi      FM-6a
  disk-7   class is slow, not fast    FM-14
  disk-4   claimed by shop/invoices   FM-6
  Any one of these lets it go on:
    - free volume disk-4, which still has the data of shop/invoices: kubectl patch pv disk-4 --type=json -p '[{"op":"remove","path":"/spec/claimRef"}]'
    - add a volume with at least 10Gi, RWO, class fast
    - create StorageClass fast with a provisioner
    - create the claim anew with at most 8Gi (disk-2 fits then)
    - create the claim anew with class slow (disk-7 fits then)
"""  # noqa: E501 - as it is printed


@pytest.fixture
def dump(tmp_path: Path) -> str:
    (tmp_path / "dump.yaml").write_text(DUMP)
    return str(tmp_path / "dump.yaml")


def test_the_answer_comes_first_then_the_evidence_then_the_way_out(
    dump: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "pvc", "orders", "-n", "shop", "-f", dump]) == 1
    assert capsys.readouterr().out == TEXT


def test_the_json_form_stays_as_scripts_know_it(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "pvc/orders", "-n", "shop", "-f", dump, "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((Path(__file__).parent / "explain-v1.json").read_text())


def test_a_pod_is_explained_by_its_claims(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "pod/web", "-n", "shop", "-f", dump]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pod shop/web is Pending: somebody must act for claim orders"
    assert lines[2].startswith("  shop/orders is Pending: no volume fits it")


def test_ask_1_one_that_needs_somebody_is_enough_for_the_exit_code(
    dump: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", "--all", "-n", "shop", "-f", dump]) == 1
    assert capsys.readouterr().out.startswith("1 claim: 1 needs somebody\n")
    assert run(["explain", "--all", "-n", "empty", "-f", dump]) == 0
    assert capsys.readouterr().out == "there are no claims\n"
    assert run(["explain", "-A", "-f", dump, "-o", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["kind"], found["counts"], found["causes"][0]["reason"]) == (
        "Explanations",
        {"Stuck": 1},
        "ClassMissing",
    )
    assert run(["explain", "pvc/orders", "pod/web", "-n", "shop", "-f", dump]) == 1
    assert capsys.readouterr().out.startswith("1 claim: ")


def test_ask_3_a_claim_that_cant_be_read_is_not_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "claims.yaml"
    path.write_text(DUMP.replace("10Gi", "10Gig"))
    for words in (["-A"], ["--all", "-n", "shop"], []):
        assert run(["explain", *words, "-f", str(path)]) == 1
        shown = capsys.readouterr()
        assert (shown.out, 'left out: PersistentVolumeClaim "shop/orders"' in shown.err) == (
            "there are no claims\n",
            True,
        )
    assert run(["explain", "--all", "-n", "other", "-f", str(path)]) == 0
    assert run(["explain", "pv", "disk-2", "-f", str(path)]) == 0


def test_a_file_without_its_flag_is_named(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What a shell makes of ``-f *.yaml``."""
    assert run(["explain", "-f", dump, dump]) == 2
    assert f"write: -f {dump}" in capsys.readouterr().err


def test_no_empty_brackets_stand_where_no_rule_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "set.yaml"
    path.write_text(SET)
    assert run(["explain", "sts", "db", "-f", str(path)]) == 0
    out = capsys.readouterr().out
    assert "default/data-db-0 is Missing: it is made from template data before its pod\n" in out
    assert "  1 more pod comes only after db-0 (OrderedReady)\n" in out


def test_ask_4_files_alone_are_a_question_about_all_their_claims(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "-f", dump]) == 1
    alone = capsys.readouterr().out
    assert alone.startswith("1 claim: 1 needs somebody\n")
    assert run(["explain", "-A", "-f", dump]) == 1
    assert capsys.readouterr().out == alone
    assert run(["explain", "-f", dump, "-n", "shop"]) == 1
    assert capsys.readouterr().out == alone
    assert run(["explain", "-f", dump, "-n", "empty"]) == 0
    assert capsys.readouterr().out == "there are no claims\n"
    assert run(["explain", "-f", dump, "--all"]) == 0  # of the namespace default
    assert capsys.readouterr().out == "there are no claims\n"


@pytest.mark.parametrize("words", [["pvc", "-A"], ["claims", "-A"], ["pvc", "--all", "-n", "shop"]])
def test_the_kind_of_claims_may_stand_beside_all_of_them(
    words: list[str], dump: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in ``kubectl get pvc -A``."""
    assert run(["explain", *words, "-f", dump]) == 1
    assert capsys.readouterr().out.startswith("1 claim: 1 needs somebody\n")


def test_a_volume_is_explained(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "pv", "disk-4", "-f", dump]) == 1
    assert capsys.readouterr().out.startswith(
        "volume disk-4 is Released: claim shop/invoices, which had it, is gone; its data is kept (Retain)   (SV-5"
    )
    assert run(["explain", "pv/disk-2", "-f", dump]) == 0
    assert "shop/orders   8Gi is less than 10Gi   FM-6a" in capsys.readouterr().out


ASK_2 = {
    "a name that is nearly the same": (["pvc", "order", "-n", "shop"], "did you mean orders?"),
    "a volume": (["pv", "disk-9"], "did you mean disk-7?"),
    "a kind left out": (["orders"], "write: pvbinder explain pvc orders"),
    "another namespace": (["pod", "web"], "there is shop/web: choose with -n"),
    "all and one": (["-A", "pvc", "orders"], "leave out one or the other"),
    "all of another kind": (["-A", "pods"], "leave out one or the other"),
    "all and a namespace": (["-A", "-n", "shop"], "--all -n shop"),
    "a slash too many": (["pvc", "a", "b/c"], "write pvc NAME NAME"),
}


@pytest.mark.parametrize(("words", "hint"), ASK_2.values(), ids=ASK_2.keys())
def test_ask_2_what_may_have_been_meant_is_said(
    words: list[str], hint: str, dump: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", *words, "-f", dump]) == 2
    assert hint in capsys.readouterr().err


def test_on_a_terminal_phases_have_their_colours(
    dump: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("click.echo", shown.append)
    assert run(["explain", "pvc", "orders", "-n", "shop", "-f", dump]) == 1
    assert shown[0].startswith("shop/orders is \x1b[33mPending\x1b[0m: ")
    assert not any("\x1b" in line for line in shown if "RULE" not in line and "Pending" not in line)


MISTAKES = {
    "no such claim": (["pvc", "nothing"], "there is no claim 'nothing' in namespace shop"),
    "no such pod": (["pod", "nothing"], "there is no pod 'nothing' in namespace shop"),
    "another kind": (["deployment", "web"], "'deployment' can't be explained"),
    "a snapshot": (
        ["volumesnapshot/monday"],
        "'volumesnapshot' can't be explained\n       explain a claim that is to be restored from it",
    ),
    "no name": (["pvc"], "'pvc' names no claim or pod"),
    "a file and a server": (["pvc", "orders", "--context", "prod"], "-f reads files instead of a server"),
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_named(arguments: list[str], message: str, dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", *arguments, "-n", "shop", "-f", dump]) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith(f"error: {message}")
    assert not shown.out


def test_a_claim_of_another_namespace_is_pointed_at(dump: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "pvc", "orders", "-f", dump]) == 2
    assert "there is shop/orders: choose with -n" in capsys.readouterr().err


def test_a_rule_is_printed_word_for_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--rule", "sc-u6"]) == 0
    head, *text = capsys.readouterr().out.splitlines()
    assert head.startswith("SC-U6  4.1 Unbound claim")
    assert "start provisioning" in " ".join(text)


def test_rules_are_printed_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", "--rule", "FM-6a", "--rule", "RB-1", "-o", "json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["id"], first["page"], second["id"]) == ("FM-6a", "binder", "RB-1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    {
        "no such rule": (["--rule", "SC-U99"], "there is no rule 'SC-U99'"),
        "a rule and a claim": (["pvc", "orders", "--rule", "SC-U6"], "--rule prints rules and explains no object"),
        "nothing at all": ([], "error: the command line names no claim or pod"),
        "a kind alone": (["pods"], "write: pvbinder explain pod NAME, or"),
    }.values(),
)
def test_a_mistake_about_rules_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", *arguments]) == 2
    assert message in capsys.readouterr().err
