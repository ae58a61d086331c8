"""What is wrong with an expression, as the reference shows it: the place, the words, the line with a mark under it."""

from __future__ import annotations

from dataclasses import dataclass

from pvbinder.model.errors import PvbinderError

ISSUES_MAX = 100


@dataclass(frozen=True, slots=True)
class Issue:
    """One reason why an expression can't be compiled."""

    at: int
    message: str


class CompileError(PvbinderError):
    """An expression that can't be compiled; the message shows all that is wrong."""

    def __init__(self, source: str, issues: list[Issue]) -> None:
        self.issues = issues
        ordered = sorted(issues, key=lambda issue: issue.at)
        shown = [_shown(source, issue) for issue in ordered[:ISSUES_MAX]]
        if len(ordered) > ISSUES_MAX:
            shown.append(f"{len(ordered) - ISSUES_MAX} more errors were truncated")
        super().__init__("\n".join(shown))


class InstantiationError(PvbinderError):
    """An expression of which a part is known before it runs, and has no value."""


class CelError(PvbinderError):
    """What an expression ends with when a value can't be found; the message is the reference's."""


class CostExceededError(PvbinderError):
    """An evaluation that would cost more than it may."""


def _shown(source: str, issue: Issue) -> str:
    before = source[: issue.at]
    line = before.count("\n")
    column = issue.at - (before.rfind("\n") + 1)
    text = source.split("\n")[line] if line < source.count("\n") + 1 else ""
    head = f"ERROR: <input>:{line + 1}:{column + 1}: {issue.message}"
    text = text.replace("\t", " ")
    dots = "".join("\uff0e" if ord(letter) > 0x7F else "." for letter in text[:column])
    dots += "." * (column - min(column, len(text)))
    mark = "\uff3e" if column < len(text) and ord(text[column]) > 0x7F else "^"
    return f"{head}\n | {text}\n | {dots}{mark}"
