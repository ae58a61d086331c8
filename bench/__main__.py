"""Run every benchmark, each in a process of its own; the figures are JSON lines on stdout.

python -m bench [NAME...]
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PARTS = {"__main__", "figure", "outside"}  # what the benchmarks are made of


def names() -> list[str]:
    """Return the benchmarks, which are the files beside this one."""
    return sorted(path.stem for path in HERE.glob("*.py") if path.stem not in PARTS)


def main() -> int:
    """Run those that are named, or all; return 1 if one of them broke."""
    wanted = sys.argv[1:] or names()
    if unknown := sorted(set(wanted) - set(names())):
        print(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(names())}", file=sys.stderr)
        return 2
    codes = [subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode for name in wanted]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
