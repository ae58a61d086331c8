"""Indexes of a job's pods, as text such as ``1,3-5``."""

from __future__ import annotations

import json
import re

_IS_NUMBER = re.compile(r"[+-]?[0-9]+", re.ASCII).fullmatch


def count_indexes(text: str, completions: int) -> tuple[int, str]:
    """Count the indexes; also return what is wrong with the text (then there are none)."""
    last = -1
    total = 0
    for fragment in text.split(",") if text else ():
        first, end, problem = _interval(fragment, completions)
        if problem:
            return 0, problem
        if total and last >= first:
            return 0, f"non-increasing order, previous: {last}, current: {first}"
        total += end - first + 1
        last = end
    return total, ""


def overlap(one: str, other: str, completions: int) -> int | None:
    """Return the first index that is in both; parts that are wrong are in neither."""
    there = sorted(_intervals(one, completions))
    for first, end in sorted(_intervals(other, completions)):
        for begin, stop in there:
            if begin <= end and first <= stop:
                return max(begin, first)
    return None


def _intervals(text: str, completions: int) -> list[tuple[int, int]]:
    parsed = (_interval(fragment, completions) for fragment in text.split(",")) if text else ()
    return [(first, end) for first, end, problem in parsed if not problem]


def _interval(text: str, completions: int) -> tuple[int, int, str]:
    parts = text.split("-")
    if len(parts) > 2:
        why = "violates the requirement that an index interval can have at most two parts separated by '-'"
        return 0, 0, f"the fragment {json.dumps(text)} {why}"
    numbers: list[int] = []
    for part in parts:
        if not _IS_NUMBER(part):
            return 0, 0, f"cannot convert string to integer for index: {json.dumps(part)}"
        number = int(part)
        if number >= completions:
            return 0, 0, f"too large index: {json.dumps(part)}"
        numbers.append(number)
    first, end = numbers[0], numbers[-1]
    if len(parts) > 1 and first >= end:
        return 0, 0, f"non-increasing order, previous: {first}, current: {end}"
    return first, end, ""
