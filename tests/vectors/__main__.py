"""``python -m tests.vectors DIR``: exit code 0 if every case passes, 1 if not, 2 if DIR holds no vectors."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from tests.vectors.runner import BadVectorsError, run_directory


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vectors", description="Run unit vectors.")
    parser.add_argument("directory", type=Path, help="a directory of suites (*.json)")
    directory: Path = parser.parse_args().directory
    logging.disable(logging.CRITICAL)
    try:
        return 0 if run_directory(directory, print) else 1
    except BadVectorsError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
