"""The page on security says of each limit what the code says."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).resolve().parent.parent / "docs" / "security.md"
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1, "ms": 0.001, "min": 60, "h": 3600}
ROWS = re.findall(r"^\| [^|]+ \| ([0-9. ]+?) ?([A-Za-z]*) \| `([a-z0-9_.]+\.[A-Za-z_.]+)` \|$", PAGE.read_text(), re.M)


def value_of(name: str) -> Any:
    """Return what a constant, or the default of a field, is."""
    parts = f"pvbinder.{name}".split(".")
    for length in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            if dataclasses.is_dataclass(found):
                return next(field.default for field in dataclasses.fields(found) if field.name == part)
            found = getattr(found, part)
        return found
    raise AssertionError(f"there is no {name}")


@pytest.mark.parametrize(("number", "unit", "name"), ROWS, ids=[name for _, _, name in ROWS])
def test_a_limit_is_what_the_page_says(number: str, unit: str, name: str) -> None:
    assert value_of(name) == pytest.approx(float(number.replace(" ", "")) * UNITS[unit])


def test_every_row_of_the_table_is_read() -> None:
    table = PAGE.read_text().partition("| what | at most | constant |")[2].partition("\n\n")[0]
    assert len(ROWS) == len([line for line in table.splitlines() if line.startswith("| ") and "---" not in line])
    assert len(ROWS) > 5
