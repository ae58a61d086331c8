"""The rules of Kubernetes' behaviour by ID, as `pvbinder explain --rule SC-U6` prints them.

The texts are those of `docs/rules/`; `tools.rules` writes them into `rulebook.json`, which is part of the package.

RULEBOOK-1  Every rule of `docs/rules/` is found by its ID, in upper or lower case, word for word.
RULEBOOK-2  An ID that isn't there is refused with the nearest ones, never answered with another rule.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from functools import cache
from importlib.resources import files

import msgspec
from msgspec import Struct

from pvbinder.model.errors import PvbinderError

_EMPHASIS = re.compile(r"\*\*(.+?)\*\*")


class Rule(Struct, frozen=True):
    """One rule: its page, and its text by column (`Condition`, `Action`; most have one column, `Rule`)."""

    id: str
    page: str  # of docs/rules, without .md
    section: str  # the heading above it
    text: tuple[tuple[str, str], ...]  # (column, Markdown)


class UnknownRuleError(PvbinderError):
    """No rule has this ID."""


@cache
def rules() -> dict[str, Rule]:
    """Return all rules by ID, in the order of the pages."""
    data = files("pvbinder.insight").joinpath("rulebook.json").read_bytes()
    return {rule.id: rule for rule in msgspec.json.decode(data, type=list[Rule])}


def find_rules(wanted: str) -> list[Rule]:
    """Return the rule with the ID `wanted`, or all of a family (`SC-U`), or all parts of one (`MT-6` has two).

    Raises `UnknownRuleError` with the nearest IDs.
    """
    name = wanted.strip().upper()
    book = rules()
    by_name = {rule.upper(): rule for rule in book}
    if name in by_name:
        return [book[by_name[name]]]
    parts = [rule for rule in book if re.fullmatch(rf"{re.escape(name)}(-?\d+)?[A-Z]?", rule.upper())]
    if parts and name:
        return [book[rule] for rule in parts]
    near = difflib.get_close_matches(name, by_name, n=3)
    hint = f"near it: {', '.join(by_name[one] for one in near)}" if near else "docs/rules/index.md lists all families"
    raise UnknownRuleError(f"there is no rule {wanted!r}", hint=hint)


def shown(rule: Rule, width: int) -> str:
    """Return `rule` as text of at most `width` columns, code in quotes as the page has it."""
    lines = [f"{rule.id}  {rule.section} (docs/rules/{rule.page}.md)"]
    for column, text in rule.text:
        head = "" if len(rule.text) == 1 else f"{column}: "
        plain = _EMPHASIS.sub(r"\1", text).replace("\\|", "|")
        lines += textwrap.wrap(
            head + plain,
            width,
            initial_indent="  ",
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines) + "\n"
