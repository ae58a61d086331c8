"""Build what people install: `dist/` with a wheel and an sdist, and say what their size is made of.

    python -m tools.dist [DIRECTORY]    # make dist

The wheel is built from the unpacked sdist, so that the sdist has all that it takes. Nothing is fetched: setuptools is
there. With SOURCE_DATE_EPOCH, or in a checkout, what comes out is the same each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

from tools.manual import page

TOP = Path(__file__).resolve().parent.parent
PARTS_SHOWN = 6
BACKEND = "from setuptools import build_meta; print(build_meta.build_{}({!r}))"


def build(folder: Path) -> tuple[Path, Path]:
    """Build into `folder`, and return the wheel and the sdist."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("SOURCE_DATE_EPOCH", _time_of_the_commit())
    with tempfile.TemporaryDirectory() as name:
        tree = Path(name)
        _copy(tree / "source")
        (tree / "source" / "man").mkdir()
        (tree / "source" / "man" / "pvbinder.1").write_text(page())
        sdist = _built("sdist", tree / "source", folder)
        with tarfile.open(sdist) as archive:
            archive.extractall(tree / "unpacked", filter="data")
        (unpacked,) = (tree / "unpacked").iterdir()
        wheel = _built("wheel", unpacked, folder)
    return wheel, sdist


def _copy(where: Path) -> None:
    """Copy what the package is made of; what lies about in a checkout doesn't get in."""
    where.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (where / name).write_bytes((TOP / name).read_bytes())
    for path in (TOP / "src").rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts and not any(".egg-info" in part for part in path.parts):
            copy = where / path.relative_to(TOP)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    (where / "requirements-run.lock").write_bytes((TOP / "requirements-run.lock").read_bytes())


def _built(what: str, source: Path, folder: Path) -> Path:
    command = [sys.executable, "-c", BACKEND.format(what, str(folder.absolute()))]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    return folder / done.stdout.splitlines()[-1]


def _time_of_the_commit() -> str:
    done = subprocess.run(["git", "log", "-1", "--format=%ct"], cwd=TOP, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "0"


def report(wheel: Path, sdist: Path) -> str:
    """Say how large they are, and which parts of the wheel that comes from."""
    lines = [f"{path.name}: {path.stat().st_size / 1024:.0f} KiB" for path in (wheel, sdist)]
    sizes: Counter[str] = Counter()
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            parts = Path(entry.filename).parts
            depth = 3 if parts[:2] == ("pvbinder", "server") else 2
            sizes["/".join(parts[:depth])] += entry.compress_size
    lines += [f"  {size / 1024:5.0f} KiB  {part}" for part, size in sizes.most_common(PARTS_SHOWN)]
    rest = sizes.total() - sum(size for _, size in sizes.most_common(PARTS_SHOWN))
    return "\n".join([*lines, f"  {rest / 1024:5.0f} KiB  everything else"])


if __name__ == "__main__":
    print(report(*build(Path(sys.argv[1]) if len(sys.argv) > 1 else TOP / "dist")))
