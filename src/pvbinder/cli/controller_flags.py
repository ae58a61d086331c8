"""The controllers' flags on a command: made from the table of flags, listed under a heading of their own.

The table has names, defaults, meanings and how values are read (`controllers.flags`); nothing of that is said here
again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from pvbinder.cli.shared_options import log_options
from pvbinder.controllers.flags import FLAGS, Flag

METAVARS = {
    "boolean": "[true|false]",
    "integer": "N",
    "duration": "DURATION",
    "text": "TEXT",
    "list": "LIST",
    "gates": "NAME=true,...",
}
_OPTIONS = frozenset(flag.option for flag in FLAGS)
_Decorated = TypeVar("_Decorated", bound=Callable[..., Any])


def controller_flags(command: _Decorated) -> _Decorated:
    """Add every flag of the controllers to a command, which gets their text by option name."""
    for flag in reversed(FLAGS):
        command = _option(flag)(command)
    return command


def process_flags(command: _Decorated) -> _Decorated:
    """Add what every process with controllers takes: how it logs, a file with flags, and the controllers' flags."""
    command = controller_flags(command)
    command = click.option(
        "--config",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        metavar="FILE",
        help="File with the flags of the controllers, as YAML; flags given here count more.",
    )(command)
    return log_options(command)


def given(flags: Mapping[str, str | None]) -> dict[str, str]:
    """Return what was said on the command line, by the names of the flags."""
    return {flag.name: text for flag in FLAGS if (text := flags[flag.option]) is not None}


class WithControllerFlags(click.Command):
    """A command whose help has the controllers' flags under a heading of their own."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the two lists of options."""
        ours: list[tuple[str, str]] = []
        controllers: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is not None:
                (controllers if parameter.name in _OPTIONS else ours).append(record)
        with formatter.section("Options"):
            formatter.write_dl(ours)
        with formatter.section("Flags of the controllers, as kube-controller-manager has them"):
            formatter.write_dl(controllers)
        with formatter.section("Controllers, by the names and the short names that --controllers knows"):
            formatter.write_dl(_controller_names())


def _controller_names() -> list[tuple[str, str]]:
    from pvbinder.controllers.registry import CONTROLLERS  # only when help is asked for

    return [(each.name, each.alias or "-") for each in CONTROLLERS]


def _option(flag: Flag) -> Callable[[_Decorated], _Decorated]:
    names = [f"--{flag.name}", flag.option]
    if flag.short_name:
        names.insert(0, f"--{flag.short_name}")
    meaning = f"{flag.meaning}  [default: {flag.default}]" if flag.default else flag.meaning
    settings: dict[str, Any] = {"metavar": METAVARS[flag.type], "help": meaning}
    if flag.type == "boolean":  # as in Go, the flag alone means true
        settings |= {"is_flag": False, "flag_value": "true"}
    return click.option(*names, **settings)
