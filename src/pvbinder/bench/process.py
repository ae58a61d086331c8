"""The processor time of a process on this machine, whoever runs it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pvbinder.model.errors import PvbinderError


class UnknownProcessError(PvbinderError):
    """There is no such process here, or nobody can tell how much time it takes."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its number."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return the time that it has spent on processors; raise `UnknownProcessError` if that can't be known."""
        try:
            fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, ValueError, IndexError) as error:
            raise UnknownProcessError(
                f"the processor time of process {self.pid} can't be read",
                hint="it has to run on this machine, which has to be Linux, for as long as it is measured",
            ) from error
