"""Console transcripts in Markdown: run their commands for real, compare what is printed, or write it in.

A transcript is all ```` ```console ```` blocks of a page, in order: lines with ``$ `` are commands (bash, from the top
folder, KUBECONFIG set), the lines below are what they print, stdout and stderr together.

CONSOLE-1  What differs from run to run is equal: ages, uids, resource versions, times, how often an event was seen,
           the width of columns.
CONSOLE-2  A command that only reads (kubectl get, describe) is run again until it prints what the page says, or the
           deadline is over: the page shows what is seen once things have settled.
CONSOLE-3  A command must exit with 0, unless the page shows that it prints an error (a line that begins with ``Error``
           or ``error:`` or ``The ``).
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
DEADLINE_SECONDS = 20.0
STEADY_SECONDS = 2.5  # writing: what a command prints must stay the same for so long to be written down
COMMAND_TIMEOUT_SECONDS = 60.0
NEXT_LOOK_SECONDS = 0.1

_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_READS = re.compile(r"^kubectl (get|describe|explain|version|api-resources)\b")
_ERROR = re.compile(r"^(Error|error:|The )", re.MULTILINE)

_SYMBOLS = (  # CONSOLE-1: what varies, and what stands for it
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "UID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}"), "TIME"),
    (re.compile(r" \(x\d+ over [^)]+\)"), ""),
    (re.compile(r"(?<![\w.:/-])(?:\d+d)?(?:\d+h)?(?:\d+m)?(?:\d+s)?(?<=[dhms])(?: ago)?(?![\w.:/-])"), "AGE"),
    (re.compile(r"<(unknown|invalid)>"), "AGE"),
    (re.compile(r"127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"[ \t]+$", re.MULTILINE), ""),
    (re.compile(r"-{3,}"), "---"),
    (re.compile(r"(?<=\S)[ \t]{2,}"), "  "),
)


@dataclass(frozen=True)
class Step:
    """A command of a page and what the page says that it prints."""

    command: str
    printed: str

    @property
    def only_reads(self) -> bool:
        """Say whether running it twice changes nothing (CONSOLE-2)."""
        return _READS.match(self.command) is not None


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    printed: str
    code: int


def symbolic(text: str) -> str:
    """Return `text` with what differs from run to run made equal (CONSOLE-1)."""
    for pattern, symbol in _SYMBOLS:
        text = pattern.sub(symbol, text)
    return text.strip("\n")


def steps_of(page: str) -> list[Step]:
    """Return the steps of a page in order."""
    return [step for block in _BLOCK.finditer(page) for step in _steps_of_block(block[1])]


def run_step(step: Step, environment: Mapping[str, str], *, deadline_seconds: float = DEADLINE_SECONDS) -> Outcome:
    """Run a step, a reading one until it prints what it should (CONSOLE-2); the last outcome counts."""
    wanted = symbolic(step.printed)
    end = time.monotonic() + deadline_seconds
    while True:
        outcome = run(step.command, environment)
        if not step.only_reads or symbolic(outcome.printed) == wanted or time.monotonic() > end:
            return outcome
        time.sleep(NEXT_LOOK_SECONDS)


def run(command: str, environment: Mapping[str, str]) -> Outcome:
    """Run one command line in bash from the top folder."""
    finished = subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command],
        cwd=TOP,
        env={**os.environ, "LC_ALL": "C.UTF-8", "COLUMNS": "120", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT_SECONDS,
        check=False,
    )
    return Outcome(finished.stdout, finished.returncode)


def may_fail(step: Step) -> bool:
    """Say whether the page shows that the command is refused (CONSOLE-3)."""
    return _ERROR.search(step.printed) is not None


def rewritten(page: str, environment: Mapping[str, str]) -> str:
    """Run all steps of `page` and return it with what they printed."""

    def block(match: re.Match[str]) -> str:
        lines = []
        for step in _steps_of_block(match[1]):
            lines += [f"$ {step.command}", *_settled(step, environment).splitlines()]
        return "```console\n" + "\n".join(line.rstrip() for line in lines) + "\n```"

    return _BLOCK.sub(block, page)


def _settled(step: Step, environment: Mapping[str, str]) -> str:
    printed = run(step.command, environment).printed
    steady_since = time.monotonic()
    while step.only_reads and time.monotonic() - steady_since < STEADY_SECONDS:
        time.sleep(NEXT_LOOK_SECONDS)
        again = run(step.command, environment).printed
        if symbolic(again) != symbolic(printed):
            steady_since = time.monotonic()
        printed = again
    return printed


def _steps_of_block(block: str) -> Iterator[Step]:
    command: str | None = None
    printed: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield Step(command, "\n".join(printed))
            command, printed = line[2:], []
        else:
            printed.append(line)
    if command is not None:
        yield Step(command, "\n".join(printed))
