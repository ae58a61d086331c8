"""The Containerfile and the systemd unit: what they name is there, and what they say is safe."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import click
import pytest
from tests.deploy.manifests import DEPLOY

from pvbinder import __version__
from pvbinder.cli.main import cli

TOP = DEPLOY.parent
UNIT = DEPLOY / "systemd" / "pvbinder.service"


def stages() -> dict[str, list[tuple[str, str]]]:
    """The instructions of the Containerfile, by the names of its stages."""
    text = (DEPLOY / "image" / "Containerfile").read_text().replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {"": []}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        if line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word == "FROM":
            found[rest.partition(" AS ")[2]] = []
        found[list(found)[-1]].append((word, rest))
    return found


def test_what_it_copies_is_there() -> None:
    for name, instructions in stages().items():
        for word, rest in instructions:
            if word == "COPY" and not rest.startswith("--from="):
                *sources, _ = shlex.split(rest)
                assert all((TOP / source).exists() for source in sources), name
            elif word == "COPY":
                assert rest.split()[0].removeprefix("--from=") in stages()


def test_it_ends_as_the_image_of_the_manifests_without_rights_and_with_pinned_packages() -> None:
    found = stages()

    assert list(found)[-1] == "controller"  # what is built where no target is named
    assert ("USER", "65532:65532") in found["runtime"]
    assert [rest for _, rest in found["controller"][:2]] == ["runtime AS controller", '["pvbinder"]']
    installing = " ".join(rest for word, rest in found["build"] if word == "RUN")
    assert "--require-hashes" in installing
    assert not re.search(r"\bpip\b[^&]*\binstall\b(?![^&]*--no-deps)", installing)
    head = (DEPLOY / "image" / "Containerfile").read_text()
    assert f"pvbinder:{__version__}" in head
    project = tomllib.loads((TOP / "pyproject.toml").read_text())["project"]
    python = next(rest.removeprefix("PYTHON=") for word, rest in found[""] if word == "ARG" and "PYTHON" in rest)
    assert f"Programming Language :: Python :: {python}" in project["classifiers"]


def unit() -> configparser.RawConfigParser:
    read = configparser.RawConfigParser(strict=False)
    read.optionxform = str  # type: ignore[assignment,method-assign]
    read.read(UNIT)
    return read


def test_the_unit_starts_a_command_that_there_is() -> None:
    program, command, *arguments = shlex.split(unit()["Service"]["ExecStart"])

    assert Path(program).name == "pvbinder"
    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    context = found.make_context(command, arguments)
    assert str(context.params["data_dir"]) == f"/var/lib/{unit()['Service']['StateDirectory']}"


def test_the_unit_may_do_little() -> None:
    service = unit()["Service"]

    assert service["DynamicUser"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert (service["IPAddressDeny"], service["IPAddressAllow"]) == ("any", "localhost")
    assert service["ProtectSystem"] == "strict"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd on this machine")
def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / "pvbinder.service"
    copy.write_text(UNIT.read_text().replace("/opt/pvbinder/bin/pvbinder", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )

    assert "pvbinder.service:" not in done.stderr
