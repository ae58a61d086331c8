"""Comparing objects as the vectors ask for (README, "Comparison")."""

from __future__ import annotations

import copy
import json
from typing import Any

from pvbinder.model.json import Json
from pvbinder.model.quantity import QuantityError, parse_quantity


def differences(wanted: list[Json], found: list[Json], ignoring: list[str], what: str) -> list[str]:
    """Return the differences between the whole content of a store and the expected one."""
    problems = []
    wanted_by_name, found_by_name = _by_name(wanted), _by_name(found)
    for name in sorted(wanted_by_name.keys() | found_by_name.keys()):
        if name not in found_by_name:
            problems.append(f"{what} {name} is missing")
        elif name not in wanted_by_name:
            problems.append(f"{what} {name} is there: {json.dumps(found_by_name[name], sort_keys=True)}")
        else:
            left, right = (comparable(each[name], ignoring) for each in (wanted_by_name, found_by_name))
            problems += [f"{what} {name}: {difference}" for difference in _differ(left, right, "")]
    return problems


def comparable(obj: Json, ignoring: list[str]) -> Json:
    """Return `obj` without the fields that don't count, quantities as values."""
    obj = copy.deepcopy(obj)
    for path in ignoring:
        *way, last = path.split(".")
        place: Any = obj
        for step in way:
            place = place.get(step) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place.pop(last, None)
    cleaned: Json = _cleaned(obj)
    for field in ("labels", "annotations"):
        if cleaned.get("metadata", {}).get(field) == {}:
            del cleaned["metadata"][field]
    return cleaned


def _by_name(objects: list[Json]) -> dict[str, Json]:
    return {f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}".lstrip("/"): obj for obj in objects}


def _cleaned(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {
            field: _cleaned(inner, field)
            for field, inner in value.items()
            if inner is not None and inner != [] and not (field == "status" and inner == {})
        }
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    if key == "storage" and isinstance(value, str):
        try:
            return parse_quantity(value)
        except QuantityError:
            return value
    return value


def _differ(wanted: Any, found: Any, path: str) -> list[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        problems = []
        for field in sorted(wanted.keys() | found.keys()):
            inner = f"{path}.{field}" if path else field
            if field not in found:
                problems.append(f"{inner} should be {wanted[field]!r} but is absent")
            elif field not in wanted:
                problems.append(f"{inner} should be absent but is {found[field]!r}")
            else:
                problems += _differ(wanted[field], found[field], inner)
        return problems
    return [] if wanted == found else [f"{path} should be {wanted!r} but is {found!r}"]


def missing_events(wanted: list[str], found: list[str]) -> list[str]:
    """Return the faults of the sent events: the n-th must begin with the n-th text, more may follow."""
    problems = []
    for place, text in enumerate(wanted):
        if place >= len(found):
            problems.append(f"event {place} should be {text!r} but was not sent")
        elif not found[place].startswith(text):
            problems.append(f"event {place} should be {text!r} but is {found[place]!r}")
    return problems


def without_reads_beside(wanted: list[Json], found: list[Json]) -> list[Json]:
    """Leave out of `found` the reads that stand between those of `wanted`."""
    left, place = [], 0
    for request in found:
        if place < len(wanted) and request == wanted[place]:
            place += 1
        elif request["verb"] in ("get", "list"):
            continue
        left.append(request)
    return left
