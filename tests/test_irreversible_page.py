"""The page about what can't be undone says what is so: each row has its module, its guarantee and its test."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parent.parent
ROW = re.compile(
    r"^\| (?P<act>[^|]+) \| `(?P<module>[^|`]+)` \| (?P<proof>[^|]+) \| (?P<guarantee>[A-Z_]+-\d+) \| "
    r"(?P<rule>[^|]*)\| `(?P<test>test_\w+)` \|$",
    re.MULTILINE,
)
PAGE = (TOP / "docs" / "irreversible.md").read_text()
ROWS = list(ROW.finditer(PAGE))


@cache
def names_of_tests() -> frozenset[str]:
    return frozenset(
        node.name
        for path in (TOP / "tests").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def test_every_row_of_the_page_is_read() -> None:
    table = [line for line in PAGE.splitlines() if line.startswith("| ")]

    assert len(ROWS) == len(table) - 1 >= 15  # but the head


@pytest.mark.parametrize("row", ROWS, ids=[row["act"] for row in ROWS])
def test_an_irreversible_act_has_its_proof_its_guarantee_and_its_test(row: re.Match[str]) -> None:
    path = TOP / "src" / "pvbinder" / row["module"]
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""

    assert re.search(rf"^{row['guarantee']} ", docstring, re.MULTILINE), f"{path} doesn't promise {row['guarantee']}"
    assert row["test"] in names_of_tests()


def test_every_controller_that_deletes_or_takes_a_finalizer_is_on_the_page() -> None:
    acts = re.compile(r"\.delete\(|without_finalizer|\"deletecollection\"|RemoveFinalizer\(")
    modules = (TOP / "src" / "pvbinder" / "controllers").rglob("*.py")
    acting = {str(path.relative_to(TOP / "src" / "pvbinder")) for path in modules if acts.search(path.read_text())}
    through_others = {
        "controllers/protection/finalizers.py",  # writes for the three protection controllers
        "controllers/binder/writes.py",  # writes for the reclaimer
        "controllers/binder/volume_sync.py",  # asks the reclaimer
        "controllers/binder/recycler_pods.py",  # deletes the pod that it made
    }
    derived = {  # deleted by mistake, they are made again
        "controllers/csi/capacity.py",  # CSIStorageCapacity
        "controllers/kubelet/registration.py",  # CSINode
    }

    assert acting - through_others - derived <= {row["module"] for row in ROWS}
