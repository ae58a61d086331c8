"""`pvbinder recover`: what it prints for people and for programs, and its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from tests.server.store.test_damage import overwrite

from pvbinder.cli.recover import recover, report
from pvbinder.server.store.database import FILE_NAME, Database
from pvbinder.server.store.findings import (
    Current,
    Lost,
    MaybeDeleted,
    Older,
    Outcome,
    Recovery,
    Unproven,
    document,
)
from pvbinder.server.store.state import Stored

GOLDEN = Path(__file__).parent / "recovery-v1.json"
OUTCOMES: tuple[Outcome, ...] = (
    Current("pods", "shop/a", 210, "database"),
    Older("pods", "shop/b", 205, "copy", 230),
    Lost("pods", "shop/c", 231),
    Unproven("pods", "shop/d", 206, "log"),
    MaybeDeleted("pods", "shop/e", 207, "copy"),
)


def recovery(outcomes: tuple[Outcome, ...] = OUTCOMES, *, is_complete: bool = False, why: str = "") -> Recovery:
    return Recovery(
        outcomes=outcomes,
        deleted=(("pods", "shop/f"),),
        unnamed=0,
        newest_revision=210,
        acknowledged_revision=231,
        is_complete=is_complete,
        why_unproven=why,
        copy_revision=208,
        copy_time="2026-03-01T12:00:00Z",
        next_revision=100_232,
        kept=Path("/srv/pvbinder/damaged-1"),
    )


def test_the_schema_for_programs_is_as_it_was() -> None:
    said = document(recovery(why="there is no list of the writes that were acknowledged"), Path("/srv/pvbinder"))
    assert json.loads(msgspec.json.encode(said)) == json.loads(GOLDEN.read_text())


def test_each_outcome_is_told_to_people_by_name() -> None:
    text = "\n".join(report(recovery(why="the list is damaged"), Path("/srv/pvbinder")))
    for told in (
        "1 is as it was last acknowledged",
        "1 is older than it was:\n  pods shop/b  of revision 205, 230 is lost",
        "1 is lost:\n  pods shop/c",
        "1 may have changed or been deleted since: that can't be known:\n  pods shop/d",
        "1 may have been deleted: the damaged file doesn't have it, the copy has:\n  pods shop/e",
        "1 that could still be read is deleted, and stays so",
        "Others may be missing, too: the list is damaged.",
        "  pvbinder up --data-dir /srv/pvbinder",
    ):
        assert told in text, text
    assert "Nothing is missing" not in text


def test_nothing_is_missing_is_said_only_when_it_is_proven() -> None:
    assert "Nothing is missing" in "\n".join(report(recovery(OUTCOMES[:1], is_complete=True), Path("/srv")))


@pytest.mark.parametrize("form", ["text", "json"])
def test_exit_code_1_and_the_name_where_something_is_lost(tmp_path: Path, form: str) -> None:
    database = Database(tmp_path)
    database.commit({("things", f"k{n}"): Stored(200 + n, b"data %d " % n * 40) for n in range(20)}, 219)
    database.close()
    path = tmp_path / FILE_NAME
    overwrite(path, path.read_bytes().index(b"data 7 "), b"DATA")
    done = CliRunner().invoke(recover, ["--data-dir", str(tmp_path), "-o", form], standalone_mode=False)
    assert done.return_value == 1
    assert "k7" in done.stdout
    if form == "json":
        lost = [each for each in json.loads(done.stdout)["objects"] if each["outcome"] != "Current"]
        assert lost == [{"outcome": "Lost", "kind": "things", "key": "k7", "acknowledged": 207}]
    else:
        assert re.search(r"1 is lost:\n  things k7", done.stdout)
    again = CliRunner().invoke(recover, ["--data-dir", str(tmp_path), "-o", form], standalone_mode=False)
    assert again.return_value == 0
    assert ("sound" in again.stdout) is True
