"""What people install: the wheel and the sdist that `make dist` builds, and the manual page in them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import click
import pytest
from tools.dist import build, report
from tools.manual import page

from pvbinder import __version__
from pvbinder.cli.main import COMMANDS, cli

SECONDS = 120
WHEEL_BYTES_MAX = 2_500_000
TOP = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    return build(tmp_path_factory.mktemp("dist"))


@pytest.mark.slow
def test_the_wheel_has_all_that_the_command_needs(built: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, _ = built
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    installing = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        "--target",
        str(tmp_path),
        str(wheel),
    ]
    subprocess.run([*installing, "--disable-pip-version-check"], check=True, timeout=SECONDS)
    command = [sys.executable, "-P", "-m", "pvbinder", "up", "--ephemeral", "--"]
    asking = "import pvbinder; print(pvbinder.__file__)"
    up = subprocess.run(
        [*command, sys.executable, "-P", "-c", asking],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    assert (up.returncode, up.stdout) == (0, f"{tmp_path}/pvbinder/__init__.py\n"), up.stderr
    assert (tmp_path / "share/man/man1/pvbinder.1").read_text().startswith(".TH PVBINDER 1 ")


@pytest.mark.slow
def test_they_have_what_is_in_the_package_and_nothing_else(built: tuple[Path, Path]) -> None:
    wheel, sdist = built
    ours = {
        str(path.relative_to(TOP / "src"))
        for path in (TOP / "src" / "pvbinder").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name and ".data/" not in name}
    with tarfile.open(sdist) as archive:
        tops = {Path(name).parts[1] for name in archive.getnames() if len(Path(name).parts) > 1}

    assert names == ours
    assert tops == {"LICENSE", "PKG-INFO", "README.md", "man", "pyproject.toml", "setup.cfg", "src"}
    assert wheel.stat().st_size < WHEEL_BYTES_MAX
    assert f"{wheel.name}: {wheel.stat().st_size / 1024:.0f} KiB" in report(wheel, sdist)


def test_the_module_is_the_command() -> None:
    asked = [sys.executable, "-m", "pvbinder", "--version"]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=SECONDS, check=True)

    assert done.stdout == f"pvbinder {__version__}\n"


def test_the_manual_has_every_command_and_option() -> None:
    written = page()
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert f'.SH "PVBINDER {name.upper()}"' in written
        for parameter in command.params:
            for option in parameter.opts if isinstance(parameter, click.Option) else ():
                if not getattr(parameter, "hidden", False):
                    assert option.replace("-", r"\-") in written, f"{name} {option}"


@pytest.mark.skipif(shutil.which("groff") is None, reason="there is no groff on this machine to print the page with")
def test_the_manual_can_be_printed(tmp_path: Path) -> None:
    (tmp_path / "pvbinder.1").write_text(page())
    printing = ["groff", "-man", "-Tutf8", "-ww", str(tmp_path / "pvbinder.1")]
    done = subprocess.run(printing, capture_output=True, text=True, timeout=SECONDS, check=True)

    assert done.stderr == ""
    assert "pvbinder up --ephemeral" in done.stdout
