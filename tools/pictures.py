"""Pictures of terminal sessions, as SVG: commands are run, and what they print is drawn.

    python -m tools.pictures [DIRECTORY]    # docs/pictures by default

PICTURE-1  A picture shows what a command printed in this very run; the live table is that of a terminal, when things
           have settled.
PICTURE-2  It holds all that it needs: no font or style is fetched, and colours are readable on light and dark pages.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

TOP = Path(__file__).resolve().parent.parent
PICTURES = TOP / "docs" / "pictures"
COMMANDS = {  # of each picture: what is typed, from the top folder
    "explain": "pvbinder explain pvc photos -n shop -f examples/audit/shop.yaml",
    "audit": "pvbinder audit -f examples/audit/shop.yaml --code PVB102 --code PVB305",
    "plan": "pvbinder plan -f examples/quickstart/nfs.yaml --against examples/audit/shop.yaml",
}
LIVE_TABLE = "live-table"
LIVE_COMMAND = (
    "pvbinder up --ephemeral --apply examples/quickstart --apply examples/dynamic-provisioning --watch"  # make run
)
COLUMNS = 112
LIVE_LINES = 40
LIVE_SECONDS = 120.0
LAST_WORDS = b"Ctrl-C stops it"
LAST_CHANGE = b"ProvisioningSucceeded"  # on a busy machine things seem to have settled before
_CURSOR_UP = re.compile(r"(?:\x1b\[(?:\d*A|2K)|\r)+")
_FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def drawn(text: Text, title: str, name: str) -> str:
    """Return the picture of what a terminal shows (PICTURE-2)."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(text)
    picture = console.export_svg(title=title, theme=MONOKAI, unique_id=f"pvbinder-{name}")
    picture = _FONT_FACE.sub("", picture).replace("Fira Code", "ui-monospace, DejaVu Sans Mono")
    return "\n".join(line.rstrip() for line in picture.splitlines()) + "\n"


def write(where: Path) -> Iterator[str]:
    """Make all pictures in `where`, and yield the name of each when it is there."""
    where.mkdir(parents=True, exist_ok=True)
    for name, command in COMMANDS.items():
        (where / f"{name}.svg").write_text(drawn(_session(command), "Terminal", name))
        yield f"{name}.svg"
    (where / f"{LIVE_TABLE}.svg").write_text(drawn(live_table(), LIVE_COMMAND, LIVE_TABLE))
    yield f"{LIVE_TABLE}.svg"


def _session(command: str) -> Text:
    """Run a command, and return the prompt and what it printed."""
    done = subprocess.run(_argv(command), cwd=TOP, env=_environment(), capture_output=True, text=True, check=False)
    if done.stderr or not done.stdout:
        sys.exit(f"{command}:\n{done.stdout}{done.stderr}")
    prompt = Text("$ ", style="bold green").append(command, style="bold")
    return prompt.append("\n").append_text(Text.from_ansi(done.stdout.rstrip(), style="none"))


def _argv(command: str) -> list[str]:
    return [sys.executable, "-m", *command.replace("pvbinder", "pvbinder.cli.main", 1).split()]


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "COLUMNS": str(COLUMNS),
        "LC_ALL": "C.UTF-8",
        "TERM": "xterm-256color",
        "KUBECONFIG": os.devnull,
    }


def live_table() -> Text:
    """Run the live view on a terminal until it has settled, and return its last screen."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LIVE_LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        _argv(LIVE_COMMAND), cwd=TOP, env=_environment(), stdin=slave, stdout=slave, stderr=slave
    )
    os.close(slave)
    seen = b""
    try:
        end = time.monotonic() + LIVE_SECONDS
        while not (LAST_WORDS in seen and LAST_CHANGE in seen) and time.monotonic() < end and (more := _read(master)):
            seen += more
    finally:
        process.send_signal(signal.SIGINT)
        while more := _read(master):
            seen += more
        process.wait()
        os.close(master)
    screens = [
        part for part in _CURSOR_UP.split(seen.decode(errors="replace").replace("\r\n", "\n")) if "CLAIM" in part
    ]
    shown = screens[-1].partition(LAST_WORDS.decode())[0] if screens else ""
    if not shown:
        sys.exit(f"{LIVE_COMMAND} showed no table:\n{seen.decode(errors='replace')}")
    return Text.from_ansi(re.sub(r"/tmp/pvbinder-\w+/", "/tmp/pvbinder-x1y2z3/", shown).strip("\n"))


def _read(master: int) -> bytes:
    try:
        return os.read(master, 65536)
    except OSError as error:
        if error.errno == errno.EIO:  # the process has closed its terminal
            return b""
        raise


if __name__ == "__main__":
    for made in write(Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURES):
        print(f"made {made}")
