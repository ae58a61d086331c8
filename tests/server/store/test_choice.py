"""The choice of a recovery among the states of one object, and what it says of each (RECOVERY-2, RECOVERY-4)."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from tests.server.store.test_sound import GOOD, ROW, leaf, record

from pvbinder.server.store.acknowledged import Acknowledged, Noted
from pvbinder.server.store.checksums import Totals, checksum_of, checksum_of_totals
from pvbinder.server.store.findings import Current, Lost, MaybeDeleted, Older, Outcome, Unproven
from pvbinder.server.store.recovery import _Choice, _Salvage
from pvbinder.server.store.state import Stored

A, B = ("pods", "a"), ("pods", "b")
COPY = 110  # the revision of the copy, after which the list begins


def at(revision: int, data: bytes = b"{}") -> Stored:
    return Stored(revision, data)


class Files(NamedTuple):
    """What can be read of one object: the revision in the database and in the copy, and the end of the list."""

    found: int | None = None
    copy: int | None = None
    noted: Noted | None = None
    is_broken: bool = False
    is_whole: bool = False
    meta: int | None = None


def choice(files: Files, *, has_list: bool) -> _Choice:
    found = _Salvage(identity="me", is_whole=files.is_whole)
    found.rows = {} if files.found is None else {A: (at(files.found), "database")}
    found.broken = {A} if files.is_broken else set()
    found.meta = None if files.meta is None else at(files.meta, b"9 9")
    copy = _Salvage(identity="me", is_whole=True, meta=at(COPY, b"9 9"))
    copy.rows = {} if files.copy is None else {A: (at(files.copy), "copy")}
    newest = {} if files.noted is None else {A: files.noted}
    return _Choice(found, copy, Acknowledged("me", COPY, 112, newest, lines=1) if has_list else None)


WRITTEN, GONE = Noted(112, False), Noted(112, True)
WITH_LIST: dict[str, tuple[Files, Outcome | str | None]] = {
    "as the list says": (Files(112, noted=WRITTEN), Current(*A, 112, "database")),
    "older than the list says": (Files(111, noted=WRITTEN), Older(*A, 111, "database", 112)),
    "newer than the list says": (Files(113, noted=WRITTEN), Unproven(*A, 113, "database")),
    "only the list knows it": (Files(noted=WRITTEN), Lost(*A, 112)),
    "the list and the copy know it": (Files(copy=109, noted=WRITTEN), Older(*A, 109, "copy", 112)),
    "the database is newer than the copy": (Files(112, copy=109, noted=WRITTEN), Current(*A, 112, "database")),
    "deleted, and there in an older state": (Files(111, noted=GONE), "deleted"),
    "deleted, and there in the last state": (Files(112, noted=GONE), "deleted"),
    "deleted, and there in the copy": (Files(copy=109, noted=GONE), "deleted"),
    "deleted, and there in a newer state": (Files(113, noted=GONE), Unproven(*A, 113, "database")),
    "deleted, and nowhere": (Files(noted=GONE, is_broken=True), None),
    "unchanged since the copy": (Files(109, copy=109), Current(*A, 109, "database")),
    "only in the copy": (Files(copy=109), Current(*A, 109, "copy")),
    "older than the copy": (Files(108, copy=109), Current(*A, 109, "copy")),
    "made after the copy, and not in the list": (Files(111), Unproven(*A, 111, "database")),
    "changed after the copy, and not in the list": (Files(111, copy=109), Unproven(*A, 111, "database")),
    "not in the copy, and of its revision": (Files(110), "deleted"),
    "damaged, and nowhere else": (Files(is_broken=True), None),
}
WITHOUT_LIST: dict[str, tuple[Files, Outcome | str | None]] = {
    "damaged, and nowhere else": (Files(is_broken=True), Lost(*A, None)),
    "not in the copy, and of its revision": (Files(110), "deleted"),
    "made after the copy": (Files(111), Unproven(*A, 111, "database")),
    "in both": (Files(109, copy=109), Unproven(*A, 109, "database")),
    "in both, and of the copy's revision": (Files(110, copy=110), Unproven(*A, 110, "database")),
    "newer than the copy": (Files(111, copy=109), Unproven(*A, 111, "database")),
    "only in the copy, the database is whole": (Files(copy=109, is_whole=True, meta=110), "deleted"),
    "only in the copy, the database is whole and older": (
        Files(copy=109, is_whole=True, meta=109),
        MaybeDeleted(*A, 109, "copy"),
    ),
    "only in the copy, the database isn't whole": (Files(copy=109, meta=112), MaybeDeleted(*A, 109, "copy")),
    "only in the copy, and nothing else can be read": (Files(copy=109), MaybeDeleted(*A, 109, "copy")),
    "in the copy, and damaged in the database": (Files(copy=109, is_broken=True), Unproven(*A, 109, "copy")),
}
ROWS = [
    pytest.param(files, expected, has_list, id=f"{'list' if has_list else 'no list'}: {name}")
    for has_list, table in ((True, WITH_LIST), (False, WITHOUT_LIST))
    for name, (files, expected) in table.items()
]


@pytest.mark.parametrize(("files", "expected", "has_list"), ROWS)
def test_recovery_4_what_is_said_of_an_object(files: Files, expected: Outcome | str | None, has_list: bool) -> None:
    made = choice(files, has_list=has_list)

    assert made.outcomes == ([] if expected is None or isinstance(expected, str) else [expected])
    assert made.deleted == ([A] if expected == "deleted" else [])
    if isinstance(expected, Current | Older | Unproven | MaybeDeleted):
        assert made.rows == {A: (at(expected.revision), expected.source)}
    else:
        assert made.rows == {}
    assert made.is_complete == (has_list and all(isinstance(each, Current) for each in made.outcomes))


def test_recovery_2_of_two_states_of_one_revision_the_copy_s_counts() -> None:
    found, copy = _Salvage(rows={A: (at(109, b"1"), "log")}), _Salvage(rows={A: (at(109, b"2"), "copy")})
    copy.is_whole, copy.meta = True, at(COPY)

    made = _Choice(found, copy, Acknowledged("me", COPY, COPY))

    assert made.rows == {A: (at(109, b"2"), "copy")}


def test_recovery_4_what_only_the_copy_has_in_a_damaged_state_is_lost() -> None:
    made = _Choice(_Salvage(), _Salvage(broken={B}), None)

    assert made.outcomes == [Lost(*B, None)]


def test_recovery_2_without_a_copy_nothing_is_taken_for_deleted() -> None:
    made = _Choice(_Salvage(rows={A: (at(109), "log")}, identity="me"), _Salvage(), None)

    assert (made.outcomes, made.deleted) == ([Unproven(*A, 109, "log")], [])


NO_LIST = "there is no list of the writes that were acknowledged"
DAMAGED = "the list of the writes that were acknowledged is damaged, too"
LATER = "the list of the writes that were acknowledged begins after the copy, or there is no copy that is whole"
REASONS: dict[str, tuple[Acknowledged | None, bool, str]] = {  # the list, whether the copy is whole: why unproven
    "a list that begins with the copy": (Acknowledged("me", COPY, 112), True, ""),
    "a list that begins before the copy": (Acknowledged("me", COPY - 1, 112), True, ""),
    "a list that begins later": (Acknowledged("me", COPY + 1, 112), True, LATER),
    "a list of a new directory, and no copy": (Acknowledged("me", 100, 112), False, ""),
    "a later list, and no copy": (Acknowledged("me", 101, 112), False, LATER),
    "a list with a gap": (Acknowledged("me", COPY, 112, is_whole=False), True, DAMAGED),
    "no list": (None, True, NO_LIST),
}


@pytest.mark.parametrize(("known", "is_whole", "why"), REASONS.values(), ids=REASONS.keys())
def test_recovery_4_why_something_is_unproven(known: Acknowledged | None, is_whole: bool, why: str) -> None:
    made = _Choice(_Salvage(rows={A: (at(115), "log")}), _Salvage(is_whole=is_whole, meta=at(COPY, b"9 9")), known)

    assert made.why_unproven == why
    assert made.outcomes == [Unproven(*A, 115, "log")]
    assert not made.is_complete


SUMS = Totals(2, checksum_of(*A, at(109)) + checksum_of(*B, at(111)))
FOUR = Totals(4, 9)
LATE = Acknowledged("me", 105, 112, newest={B: Noted(112, False)})
# the file's totals and their revision, the list, the file's identity, a damaged log: complete, lost without a name
PROOFS: dict[str, tuple[tuple[Totals, int], Acknowledged | None, str, bool, tuple[bool, int]]] = {
    "the totals are those of what was found": ((SUMS, 112), LATE, "me", True, (True, 0)),
    "they are newer than the list": ((SUMS, 113), LATE, "me", True, (True, 0)),
    "they are older than the list": ((SUMS, 111), LATE, "me", False, (False, 0)),
    "there are more objects": ((FOUR, 112), LATE, "me", False, (False, 2)),
    "there are less": ((Totals(1, 9), 112), LATE, "me", False, (False, 0)),
    "an old file without a list": ((SUMS, 112), None, "", False, (True, 0)),
    "an old file with a damaged log": ((SUMS, 112), None, "", True, (False, 0)),
    "a file of which the list is gone": ((SUMS, 112), None, "me", False, (False, 0)),
}


@pytest.mark.parametrize(("totals", "known", "identity", "damaged", "expected"), PROOFS.values(), ids=PROOFS.keys())
def test_recovery_4_totals_prove_that_nothing_is_missing(
    totals: tuple[Totals, int], known: Acknowledged | None, identity: str, damaged: bool, expected: tuple[bool, int]
) -> None:
    found = _Salvage(identity=identity, log_is_damaged=damaged, meta=at(totals[1], totals[0].encode()))
    found.rows = {A: (at(109), "database"), B: (at(111), "log")}

    made = _Choice(found, _Salvage(), known)

    assert (made.is_complete, made.unnamed) == expected
    if made.is_complete:
        assert sorted(made.outcomes, key=lambda each: each.key) == [
            Current(*A, 109, "database"),
            Current(*B, 111, "log"),
        ]
        assert made.why_unproven == ""
    else:
        assert made.why_unproven


def test_recovery_4_what_is_lost_with_a_name_is_not_counted_again() -> None:
    found = _Salvage(meta=at(112, b"4 9"), rows={A: (at(109), "log")}, broken={B})

    assert _Choice(found, _Salvage(), None).unnamed == 2


def test_recovery_4_with_a_whole_list_there_are_no_nameless_ones() -> None:
    found = _Salvage(meta=at(112, b"4 9"), rows={A: (at(112), "log")}, identity="me")

    assert _Choice(found, _Salvage(), Acknowledged("me", 100, 112, newest={A: WRITTEN})).unnamed == 0


def test_recovery_2_the_newest_sound_row_of_a_file_counts() -> None:
    salvage = _Salvage(identity="me")
    where = ("pods", "shop/a")

    def rows(*revisions: int) -> bytes:
        stored = [at(each, b"%d" % each) for each in revisions]
        things = [record(*(b"pods", b"shop/a"), each.revision, each.data, checksum_of(*where, each)) for each in stored]
        metas = [record(b"", b"", each.revision, each.data, checksum_of_totals(each, "me")) for each in stored]
        return leaf(*things, *metas, first=True)

    salvage.add(rows(7), "database")
    assert (salvage.rows, salvage.meta) == ({where: (at(7, b"7"), "database")}, at(7, b"7"))
    salvage.add(rows(5, 7), "log")
    assert (salvage.rows, salvage.meta) == ({where: (at(7, b"7"), "database")}, at(7, b"7"))
    salvage.add(rows(9, 8), "log")
    assert (salvage.rows, salvage.meta) == ({where: (at(9, b"9"), "log")}, at(9, b"9"))
    assert salvage.broken == set()


def test_recovery_2_a_damaged_row_counts_as_damaged_and_a_damaged_total_as_nothing() -> None:
    salvage = _Salvage(identity="me")
    torn = record(b"pods", b"shop/b", 5, ROW.data, 1)
    totals = record(b"", b"", 9, b"1 2", 1)

    salvage.add(leaf(GOOD, torn, totals, first=True), "copy")

    assert salvage.rows == {("pods", "shop/a"): (ROW, "copy")}
    assert salvage.broken == {("pods", "shop/b")}
    assert salvage.meta is None
