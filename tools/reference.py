"""Write anew what is generated: the reference of the commands, and what the pages say that commands print.

    python -m tools.reference            # everything (make reference)
    python -m tools.reference --check    # write nothing; say which reference pages are out of date

Generated are docs/reference/*.md, the outputs in ```` ```console ```` blocks of the README, the how-to pages and the
examples, the live view in the README, and the pictures of terminal sessions in docs/pictures.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import click
from tools.console import TOP, rewritten, steps_of
from tools.plane import running

from pvbinder.cli.main import COMMANDS, cli
from tools import pictures

SHOWN = ("examples/quickstart", "examples/dynamic-provisioning")
LIVE_COMMAND = ["up", "--ephemeral", *(part for path in SHOWN for part in ("--apply", path)), "--watch"]
LIVE_START = "<!-- printed by: pvbinder " + " ".join(LIVE_COMMAND) + " -->\n```text\n"
LIVE_END = "```\n<!-- end -->"
LAST_WORDS = "Ctrl-C stops it"
LIVE_SECONDS = 60


def reference_pages() -> Mapping[Path, str]:
    """Return the page of each command and the list of them, by path."""
    folder = TOP / "docs" / "reference"
    pages = {folder / f"{name}.md": command_page(name) for name in COMMANDS}
    rows = "\n".join(f"| [pvbinder {name}]({name}.md) | {line} |" for name, (_, line) in COMMANDS.items())
    exit_codes = (
        'Exit codes: 0 fine, 1 the answer is "no", 2 wrong usage or configuration, 3 something failed, '
        "130 interrupted.\n"
        "With a command after `--`, the command's.\n"
    )
    pages[folder / "index.md"] = f"# Commands\n\n| command | does |\n|---|---|\n{rows}\n\n{exit_codes}"
    return pages


def command_page(name: str) -> str:
    """Return the page of one command, from its help."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    parent = click.Context(cli, info_name="pvbinder", **cli.context_settings)
    settings = {**command.context_settings, "max_content_width": 100, "terminal_width": 100}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    page = f"# pvbinder {name}\n\n<!-- written by make reference -->\n\n{help_of(command, context)}"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            assert found is not None
            below = click.Context(found, parent=context, info_name=inner, **{**found.context_settings, **settings})
            page += f"\n## pvbinder {name} {inner}\n\n{help_of(found, below)}"
    return page


def help_of(command: click.Command, context: click.Context) -> str:
    """Return the help of a command as a block of a page."""
    return f"```text\n{command.get_help(context).replace(str(Path.home()), '~').rstrip()}\n```\n"


def live_view() -> str:
    """Return what the live view prints for the quick start when it isn't shown on a terminal."""
    command = [sys.executable, "-m", "pvbinder.cli.main", *LIVE_COMMAND]
    process = subprocess.Popen(command, cwd=TOP, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    signal.alarm(LIVE_SECONDS)
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip())
        if LAST_WORDS in line:
            process.send_signal(signal.SIGTERM)
            break
    process.stdout.close()
    process.wait()
    signal.alarm(0)
    return re.sub(r"/tmp/pvbinder-\w+/", "/tmp/pvbinder-x1y2z3/", "\n".join(lines)) + "\n"


def with_live_view(page: str) -> str:
    """Return the README with the live view of now."""
    before, _, rest = page.partition(LIVE_START)
    _, _, after = rest.partition(LIVE_END)
    return before + LIVE_START + live_view() + LIVE_END + after


def write_transcripts() -> None:
    """Run the commands of every page on a plane of its own and write down what they print."""
    pages = [*(TOP / "examples").glob("*/README.md"), *(TOP / "docs" / "how-to").glob("*.md"), TOP / "README.md"]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for page in pages:
        text = page.read_text()
        if not steps_of(text):
            continue
        with tempfile.TemporaryDirectory() as home, running(Path(home) / "data") as plane:
            environment = {"PATH": path, "HOME": home, "KUBECONFIG": str(plane.kubeconfig)}
            page.write_text(rewritten(text, environment))
        print(f"wrote {page.relative_to(TOP)}", file=sys.stderr)


def main() -> int:
    """Write, or with ``--check`` compare."""
    pages = reference_pages()
    if "--check" in sys.argv[1:]:
        stale = [path for path, text in pages.items() if not path.is_file() or path.read_text() != text]
        for path in stale:
            print(f"out of date: {path.relative_to(TOP)} (make reference)", file=sys.stderr)
        return int(bool(stale))
    for path, text in pages.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if "--pages" not in sys.argv[1:]:
        write_transcripts()
        readme = TOP / "README.md"
        readme.write_text(with_live_view(readme.read_text()))
        for name in pictures.write(pictures.PICTURES):
            print(f"wrote docs/pictures/{name}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
