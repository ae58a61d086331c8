"""``pvbinder completion``: the script that has a shell complete commands, flags and names."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Final

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.output import say

SHELLS: Final[dict[str, type[ShellComplete]]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
VARIABLE: Final = "_PVBINDER_COMPLETE"
EPILOG = """\b
Examples:
  eval "$(pvbinder completion bash)"               # in ~/.bashrc
  eval "$(pvbinder completion zsh)"                # in ~/.zshrc, after compinit
  pvbinder completion fish > ~/.config/fish/completions/pvbinder.fish
"""


@click.command(epilog=EPILOG)
@click.argument("shell", required=False, type=click.Choice(list(SHELLS)), metavar="[bash|zsh|fish]")
def completion(shell: str | None) -> int:
    """Print the script that has a shell complete commands, flags and names.

    Without a name it is for the shell that $SHELL names. Names of objects are those of the server that the kubeconfig
    leads to; without one there are none, and nobody waits longer than two seconds.
    """
    name = shell or PurePath(os.environ.get("SHELL", "")).name
    if name not in SHELLS:
        raise WrongUsageError(
            f"$SHELL is {name or 'not set'}, and there is no script for that", hint=f"name one of {', '.join(SHELLS)}"
        )
    root = click.get_current_context().find_root().command
    made = SHELLS[name](root, {}, "pvbinder", VARIABLE)
    say((made.source_template % made.source_vars()).strip())
    return 0
