"""The shipped schema data equals the generator's present output."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]


def test_the_data_is_up_to_date() -> None:
    check = [sys.executable, str(ROOT / "tools/schema/generate.py"), "--check"]
    done = subprocess.run(check, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
