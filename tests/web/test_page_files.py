"""The files of the page: what is in them, what is not, and what they weigh."""

from __future__ import annotations

import gzip
import hashlib
import re
from pathlib import Path

STATIC = Path(__file__).resolve().parents[2] / "src" / "pvbinder" / "web" / "static"
SERVED = sorted(path for path in STATIC.rglob("*") if path.suffix in {".html", ".css", ".js", ".svg"})
OWN_SCRIPTS = sorted(STATIC.glob("*.js"))
PAGE_BYTES_MAX = 80_000
LINES_MAX = 500
CONTRAST_MIN = 4.5  # level AA of WCAG, for text of this size
ROW = re.compile(r"^\| `([^`]+)` \|.*\| `([0-9a-f]{64})` \|$", re.MULTILINE)
IMPORT = re.compile(r"""^(?:import|export)\b[^"]*?from "([^"]+)";$|^import "([^"]+)";$""", re.MULTILINE)


def test_what_is_taken_from_others_is_as_it_was_published() -> None:
    table = dict(ROW.findall((STATIC / "vendor" / "VENDORED.md").read_text()))
    files = {path.name for path in (STATIC / "vendor").iterdir()} - {"VENDORED.md"}
    assert set(table) == files, "each file has a row"
    for name, checksum in table.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == checksum, name


def test_the_page_is_small() -> None:
    sizes = {str(path.relative_to(STATIC)): len(gzip.compress(path.read_bytes(), 9)) for path in SERVED}
    assert sum(sizes.values()) <= PAGE_BYTES_MAX, sizes


def test_no_file_is_long() -> None:
    for path in OWN_SCRIPTS:
        assert len(path.read_text().splitlines()) < LINES_MAX, path.name


def test_each_module_says_what_it_is_and_imports_what_exists() -> None:
    for path in OWN_SCRIPTS:
        text = path.read_text()
        assert text.startswith("// "), f"{path.name} begins with what it is"
        for found in IMPORT.findall(text):
            name = found[0] or found[1]
            assert name.startswith("./"), f"{path.name} imports {name}"
            assert (path.parent / name).is_file(), f"{path.name} imports {name}"


def test_every_module_is_used() -> None:
    reached, waiting = set(), {"main.js", "theme.js"}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        text = (STATIC / name).read_text()
        waiting |= {(one or other).removeprefix("./") for one, other in IMPORT.findall(text)} - reached
    assert {path.name for path in OWN_SCRIPTS} <= reached


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    html = (STATIC / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=", html)
    assert re.findall(r"<script(?![^>]*\ssrc=)", html) == []
    names = re.findall(r'(?:src|href)="([^"]+)"', html)
    assert names
    for name in names:
        assert name.startswith("/static/"), name
        assert (STATIC / name.removeprefix("/static/")).is_file(), name
    for path in SERVED:
        if path.parent == STATIC:
            found = set(re.findall(r"https?://[^\s\"'`)<]+", path.read_text())) - {"http://www.w3.org/2000/svg"}
            assert not found, f"{path.name}: {found}"


def test_text_can_be_read_in_light_and_dark() -> None:
    css = (STATIC / "page.css").read_text()
    light, dark, chosen = (
        dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", part)) for part in re.split(r"\n +color-scheme: ", css)[1:4]
    )
    assert dark == chosen, "dark by the system and dark by choice are the same"
    for colours in (light, dark):
        for text in ("text", "muted", "accent-text", "ok", "wait", "bad", "idle"):
            for ground in ("ground", "surface", "raised", "sunken"):
                assert contrast(colours[text], colours[ground]) >= CONTRAST_MIN, f"{text} on {ground}"
        for text, ground in (("text", "accent-ground"), ("muted", "accent-ground"), ("accent-text", "accent-ground"),
                             ("ok", "accent-ground"), ("wait", "accent-ground"), ("bad", "accent-ground"),
                             ("text", "bad-ground"), ("text", "wait-ground"), ("muted", "bad-ground"),
                             ("bad", "bad-ground"), ("on-accent", "accent")):  # fmt: skip
            assert contrast(colours[text], colours[ground]) >= CONTRAST_MIN, f"{text} on {ground}"


def test_nothing_moves_for_those_who_want_no_motion() -> None:
    for path in STATIC.glob("*.css"):
        text = path.read_text()
        calm = re.sub(r"@media \(prefers-reduced-motion: no-preference\) \{.*?\n\}\n", "", text, flags=re.DOTALL)
        assert not re.findall(r"^\s*(?:animation|transition|scroll-behavior)\b.*", calm, flags=re.MULTILINE), path.name


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours as WCAG defines it, from 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
