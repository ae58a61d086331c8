"""The command `pvbinder`: its sub-commands by name, and the boundary at which every error becomes words and a code.

MAIN-1  ``pvbinder --help`` imports no sub-command, so that it answers at once; a sub-command is imported when it runs.
MAIN-2  A mistake of the user ends with ``error: …`` and, where we know one, a way out, on stderr; never a traceback.
MAIN-3  Exit codes: 0 fine, 1 the answer is "no", 2 wrong usage or configuration, 3 something failed, 130 interrupted.

An exception that isn't a `PvbinderError` is a bug of ours: that one does show its traceback, and says that it is a bug.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

import click

from pvbinder import __version__
from pvbinder.cli import output
from pvbinder.cli.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, exit_code_of, reasons_in

COMMANDS = {  # name: (module and attribute, the line in `pvbinder --help`)
    "up": ("pvbinder.cli.up:up", "Start an API server and the controllers in this process, for kubectl and tests."),
    "controller": (
        "pvbinder.cli.controller:controller",
        "Run the controllers against any API server, such as a cluster's.",
    ),
    "preflight": (
        "pvbinder.cli.preflight:preflight",
        "Say whether pvbinder controller can take over in a cluster: go, or no-go.",
    ),
    "driver": ("pvbinder.cli.driver:driver", "Serve a CSI driver whose volumes are directories on this machine."),
    "csi": ("pvbinder.cli.csi:csi", "Provision volumes for claims through a CSI driver, beside any API server."),
    "export": ("pvbinder.cli.export:export", "Write all objects of a cluster to a file that up --load begins with."),
    "recover": ("pvbinder.cli.recover:recover", "Recover a data directory that is damaged, keeping the damaged files."),
    "audit": ("pvbinder.cli.audit:audit", "Say what is wrong with the storage of a cluster, a dump or manifests."),
    "completion": ("pvbinder.cli.shell_completion:completion", "Print what makes a shell complete commands and names."),
    "doctor": ("pvbinder.cli.doctor:doctor", "Say what is missing on this machine, and what to do about it."),
    "bench": ("pvbinder.cli.bench:bench", "Measure how fast claims are bound at an API server."),
    "explain": ("pvbinder.cli.explain:explain", "Say why a claim is Pending, volume by volume, and what to do."),
    "page": ("pvbinder.cli.page:page", "Show the storage of a cluster, or of a dump, as a page in the browser."),
    "plan": ("pvbinder.cli.plan:plan", "Say what each claim of new manifests would get, before they are applied."),
    "rehearse": (
        "pvbinder.cli.rehearse:rehearse",
        "Say what happens if a node goes, a class is deleted, a file applied.",
    ),
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and first lines without importing them (MAIN-1)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command that is called `cmd_name`."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from the table alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Start with: pvbinder up",
)
@click.version_option(__version__, "-V", "--version", message="pvbinder %(version)s")
def cli() -> None:
    """The Kubernetes persistent-volume control plane, with or without a cluster."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code (MAIN-3)."""
    sys.exit(run_and_flush(sys.argv[1:] if arguments is None else arguments))


def run_and_flush(arguments: Sequence[str]) -> int:
    """Run the command line, see that all it wrote is out, and return its exit code."""
    code = run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # as in `pvbinder … | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return its exit code, having said on stderr what went wrong."""
    try:
        result = cli.main(args=list(arguments), prog_name="pvbinder", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:  # `pvbinder` alone: that is a question, not a mistake
        output.say(error.format_message())
        return 0
    except click.UsageError as error:
        return complain(error.format_message(), f"see {_path_of(error, arguments)} --help", EXIT_USAGE)
    except click.ClickException as error:
        return complain(error.format_message(), None, EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        return explain_failure(error)
    return result if isinstance(result, int) else 0


def _path_of(error: click.UsageError, arguments: Sequence[str]) -> str:
    """Whose help says what is right: click forgets the sub-command where an option has no value."""
    path = error.ctx.command_path if error.ctx else "pvbinder"
    return f"pvbinder {arguments[0]}" if path == "pvbinder" and arguments and arguments[0] in COMMANDS else path


def explain_failure(error: Exception) -> int:
    """Explain `error` to the user of the command and return the exit code (MAIN-2)."""
    reasons = reasons_in(error)
    if not reasons:
        output.say("".join(traceback.format_exception(error)).rstrip(), is_progress=True)
        hint = "this is a bug in pvbinder; what is above helps to find it"
        return complain(f"{type(error).__name__}: {error}", hint, EXIT_FAILED)
    for reason in reasons:
        complain(reason.message, reason.hint, EXIT_FAILED)
    return max(exit_code_of(reason) for reason in reasons)


def complain(message: str, hint: str | None, code: int) -> int:
    """Write an error and the way out of it to stderr, and return `code`."""
    output.complain(message, hint)
    return code


if __name__ == "__main__":
    main()
