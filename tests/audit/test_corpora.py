"""No false alarms, no missed faults: worlds that look wrong and are right, and worlds with a planted fault each."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.audit.faults import FAULTS
from tests.audit.healthy import HEALTHY
from tests.audit.world import audited
from tests.insight.builders import Document

from pvbinder.audit.codes import CODES


@pytest.mark.parametrize("world", HEALTHY.values(), ids=HEALTHY.keys())
def test_a_healthy_world_has_no_finding_above_information(world: tuple[Document, ...]) -> None:
    alarms = [each for each in audited(world) if each.level != "information"]
    assert not alarms, "\n".join(f"{each.code} {each.subject}: {each.summary}" for each in alarms)


@pytest.mark.parametrize(("code", "subject", "world"), FAULTS.values(), ids=FAULTS.keys())
def test_a_planted_fault_is_found_with_its_code(code: str, subject: str, world: tuple[Document, ...]) -> None:
    found = audited(world)
    told = [each for each in found if each.code == code and str(each.subject) == subject]
    assert told, "\n".join(f"{each.code} {each.subject}: {each.summary}" for each in found)
    assert told[0].evidence or told[0].way_out


def test_every_code_is_planted() -> None:
    of_drivers = {"PVB801", "PVB804"}  # what a driver has is no object: tests/cli/test_csi_audit.py asks one
    assert {code for code, _, _ in FAULTS.values()} | of_drivers == set(CODES)


def test_the_page_says_how_large_the_corpora_are() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/audit.md").read_text()
    said = re.search(r"(\d+) healthy ones without a finding above information, and (\d+)\s+with a planted fault", page)
    assert said is not None
    assert tuple(map(int, said.groups())) == (len(HEALTHY), len(FAULTS))
    assert len(HEALTHY) >= 40
    assert len(FAULTS) >= 60
