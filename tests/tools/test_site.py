"""The site that `make docs` builds: what becomes of links, and which mistakes end the build."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from rich.text import Text
from tools.pictures import PICTURES, drawn
from tools.site import TOP, broken_in, for_site

HEADING = '<h1 id="here">x</h1>'
WRONG = {  # on a page: what the build says of it
    '<a href="gone.html">x</a>': "gone.html leads nowhere",
    '<a href="other.html#gone">x</a>': "other.html#gone has no such heading",
    '<a href="#gone">x</a>': "#gone has no such heading",
    '<img src="gone.svg">': "gone.svg isn't there",
    '<img src="https://example.com/x.png">': "fetches https://example.com/x.png from another host",
    '<script src="//example.com/x.js"></script>': "fetches //example.com/x.js from another host",
    '<link rel="stylesheet" href="https://example.com/x.css">': "fetches https://example.com/x.css from another host",
}
LINKS = {  # what a page below docs/ has: what the site has, without and with an address of the code
    "[a](how-to/ci.md#x)": ("[a](how-to/ci.md#x)",) * 2,
    "[a](../README.md)": ("[a](../README.md)",) * 2,
    "[a](../examples/audit/)": ("[a](../examples/audit/README.md)",) * 2,
    "[a](../deploy/systemd/pvbinder.service)": ("[a](../deploy/systemd/pvbinder.service)",) * 2,
    "[`a`](../src/pvbinder/chance.py)": ("`a`", "[`a`](https://code/tree/src/pvbinder/chance.py)"),
    "[a](decisions/)": ("a", "[a](https://code/tree/docs/decisions)"),
    "[a](https://kubernetes.io/x)": ("[a](https://kubernetes.io/x)",) * 2,
    "![a](pictures/explain.svg)": ("![a](pictures/explain.svg)",) * 2,
    "[SC-U3]": ("[SC-U3]",) * 2,
    "```text\n[a](../src/pvbinder/chance.py)\n```": ("```text\n[a](../src/pvbinder/chance.py)\n```",) * 2,
}


@pytest.mark.parametrize(("body", "said"), WRONG.items())
def test_site_2_and_3_what_leads_nowhere_or_elsewhere_ends_the_build(tmp_path: Path, body: str, said: str) -> None:
    (tmp_path / "index.html").write_text(HEADING + body)
    (tmp_path / "other.html").write_text(HEADING)
    assert broken_in(tmp_path) == [f"index.html: {said}"]


def test_site_2_links_that_lead_somewhere_are_fine(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "index.html").write_text(f'{HEADING}<a href="../index.html#here">x</a><img src="../a.svg">')
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    body = '<a href="more/#here">x</a><a href="#here">x</a><a href="https://example.com">x</a>'
    (tmp_path / "index.html").write_text(f'{HEADING}{body}<link rel="canonical" href="https://example.com/">')
    assert broken_in(tmp_path) == []


@pytest.mark.parametrize("name", ["a.css", "a.svg"])
def test_site_3_a_style_that_fetches_a_font_ends_the_build(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('@font-face { src: url("https://example.com/font.woff2") }')
    assert broken_in(tmp_path) == [f"{name}: fetches"]


@pytest.mark.parametrize(("text", "wanted"), LINKS.items())
def test_site_4_links_to_code_need_its_address(text: str, wanted: tuple[str, str]) -> None:
    page = TOP / "docs" / "index.md"
    assert (for_site(text, page, None), for_site(text, page, "https://code/tree/")) == wanted


def test_picture_1_a_picture_says_what_the_terminal_said() -> None:
    picture = ElementTree.fromstring(drawn(Text("disk-1 is <Bound>"), "a title", "name"))
    said = "".join(picture.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    assert "disk-1 is <Bound>" in said
    assert "a title" in said


@pytest.mark.parametrize("picture", sorted(PICTURES.glob("*.svg")), ids=lambda path: path.name)
def test_picture_2_a_picture_fetches_nothing(picture: Path) -> None:
    text = picture.read_text()
    ElementTree.fromstring(text)
    assert "font-face" not in text
    assert "url(h" not in text.replace('"', "").replace("'", "")
