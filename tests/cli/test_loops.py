"""Which event loop the long-running commands use."""

from __future__ import annotations

import asyncio
import sys

import pytest

from pvbinder.cli import loops
from pvbinder.cli.errors import WrongUsageError


async def name_of_loop() -> str:
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_loop_1_uvloop_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("uvloop")
    monkeypatch.delenv("PVBINDER_LOOP", raising=False)
    assert loops.run(name_of_loop()) == "uvloop"


def test_loop_1_the_standard_loop_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVBINDER_LOOP", "asyncio")
    assert loops.run(name_of_loop()) == "asyncio"


def test_loop_1_without_uvloop_it_is_the_standard_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PVBINDER_LOOP", raising=False)
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert loops.run(name_of_loop()) == "asyncio"


def test_loop_1_insisting_on_what_isnt_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVBINDER_LOOP", "uvloop")
    monkeypatch.setitem(sys.modules, "uvloop", None)
    with pytest.raises(WrongUsageError, match="isn't installed"):
        loops.run(name_of_loop())


def test_loop_1_a_loop_that_there_isnt_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PVBINDER_LOOP", "twisted")
    with pytest.raises(WrongUsageError, match="twisted"):
        loops.run(name_of_loop())
