"""Build the documentation as a site, and refuse one whose links lead nowhere.

    python -m tools.site [--source URL]    # make docs

What it makes, `build/site`, is for any web server; all but its search works from a folder, too.

SITE-1  Each page of `pages()` is in the navigation (zensical.toml) once, and nothing else is.
SITE-2  Each link of the site leads to a page, a file or a heading that is there; one that doesn't ends the build.
SITE-3  No page fetches anything from another host.
SITE-4  A link to code is one of `--source URL` (the repository's tree on the web), and just its words without.
SITE-5  The pictures are made by the build: terminal sessions are run (`tools.pictures`); the live page is photographed
        where there is a Chromium, and where there is none the pictures of the repository are taken.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from tools import pictures

TOP = Path(__file__).resolve().parent.parent
COPIES = TOP / "build" / "pages"
SITE = TOP / "build" / "site"
GENERATOR = TOP / ".venv-docs" / "bin" / "zensical"
PHOTOGRAPHER = "tools.page_pictures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
COPIED = ("docs", "examples", "deploy")  # folders whose files are on the site, too
FETCHED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "image": "href"}
WORDS_FOR_RELATIONS = {"canonical", "alternate", "next", "prev"}  # of <link>s that fetch nothing

_FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_EXTERNAL_STYLE = re.compile(r"(?:@import|url\()\s*[\"']?(?:https?:)?//")


def pages() -> set[str]:
    """Return the pages that the site has, by their path in the repository."""
    found = [TOP / "README.md", TOP / "CHANGELOG.md", TOP / "CONTRIBUTING.md"]
    found += [page for folder in COPIED for page in (TOP / folder).rglob("*.md")]
    return {page.relative_to(TOP).as_posix() for page in found}


def in_navigation() -> list[str]:
    """Return the pages that zensical.toml names, in its order (SITE-1)."""
    return list(_pages_in(tomllib.loads((TOP / "zensical.toml").read_text())["project"]["nav"]))


def _pages_in(part: Any) -> Iterator[str]:
    if isinstance(part, str):
        yield part
    else:
        for below in part.values() if isinstance(part, dict) else part:
            yield from _pages_in(below)


def copy_pages(where: Path, source: str | None) -> None:
    """Copy the pages, and the files beside them, to `where`."""
    shutil.rmtree(where, ignore_errors=True)
    for folder in COPIED:
        shutil.copytree(TOP / folder, where / folder)
    for page in pages():
        (where / page).parent.mkdir(parents=True, exist_ok=True)
        (where / page).write_text(for_site((TOP / page).read_text(), TOP / page, source))
    shutil.copyfile(TOP / "LICENSE", where / "LICENSE")


def for_site(text: str, page: Path, source: str | None) -> str:
    """Return the text of a page with links that work on the site (SITE-4)."""

    def link(match: re.Match[str]) -> str:
        words, target = match[1], match[2]
        parts = urlsplit(target)
        path = (page.parent / unquote(parts.path)).resolve()
        if parts.scheme or not parts.path or not path.is_relative_to(TOP):
            return match[0]
        if path.is_dir() and (path / "README.md").is_file() and path.relative_to(TOP).parts[0] in COPIED:
            return f"[{words}]({parts.path.rstrip('/')}/README.md)"
        inside = path.relative_to(TOP)
        if path.is_file() and (inside.parts[0] in COPIED or inside.as_posix() in pages() or inside.name == "LICENSE"):
            return match[0]
        return f"[{words}]({source.rstrip('/')}/{inside.as_posix()})" if source else words

    parts = _FENCED.split(text)
    return "".join(part if number % 2 else _LINK.sub(link, part) for number, part in enumerate(parts))


class _Links(HTMLParser):
    """The headings of a page, its links, and what it fetches."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in a tag."""
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif (address := given.get(FETCHED.get(tag, ""))) and given.get("rel") not in WORDS_FOR_RELATIONS:
            self.fetched.append(address)


def broken_in(site: Path) -> list[str]:
    """Return what is wrong with the links of a built site (SITE-2, SITE-3)."""
    found = {path: _Links(path.read_text()) for path in site.rglob("*.html") if path.name != "404.html"}
    wrong: list[str] = []
    for path, page in found.items():
        name = path.relative_to(site)
        for address in page.fetched:
            parts = urlsplit(address)
            if parts.netloc or parts.scheme not in ("", "data"):
                wrong.append(f"{name}: fetches {address} from another host")
            elif parts.path and not (path.parent / unquote(parts.path)).is_file():
                wrong.append(f"{name}: {address} isn't there")
        for address in page.links:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.is_file():
                wrong.append(f"{name}: {address} leads nowhere")
            elif parts.fragment and target in found and unquote(parts.fragment) not in found[target].anchors:
                wrong.append(f"{name}: {address} has no such heading")
    styles = [path for path in site.rglob("*.[cs][sv][sg]") if path.suffix in (".css", ".svg")]
    wrong += [f"{path.relative_to(site)}: fetches" for path in styles if _EXTERNAL_STYLE.search(path.read_text())]
    return wrong


def take_pictures(where: Path) -> None:
    """Make the pictures anew in `where` (SITE-5)."""
    for name in pictures.write(where):
        print(f"made {name}", file=sys.stderr)
    if importlib.util.find_spec(PHOTOGRAPHER) is None:
        return
    if any(map(shutil.which, BROWSERS)):
        subprocess.run([sys.executable, "-m", PHOTOGRAPHER, str(where)], cwd=TOP, check=True)
    else:
        print("the live page isn't photographed anew: no Chromium is installed", file=sys.stderr)


def main() -> int:
    """Build it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", metavar="URL", help="the web address of the repository's tree, for links to code")
    parser.add_argument("--no-pictures", action="store_true", help="take the pictures that the repository has")
    given = parser.parse_args()
    copy_pages(COPIES, given.source)
    if not given.no_pictures:
        take_pictures(COPIES / "docs" / "pictures")
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.rmtree(TOP / ".cache", ignore_errors=True)  # the generator's: pages of an older build would come out of it
    done = subprocess.run(
        [GENERATOR, "build", "--strict", "--config-file", TOP / "zensical.toml"], cwd=TOP, check=False
    )
    if done.returncode:
        return done.returncode
    wrong = broken_in(SITE)
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    megabytes = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file()) / 1e6
    print(f"build/site has {len(list(SITE.rglob('*.html')))} pages, {megabytes:.1f} MB; to read it:")
    print("    python3 -m http.server --bind 127.0.0.1 --directory build/site")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
