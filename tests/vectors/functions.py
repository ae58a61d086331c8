"""What the suites of plain functions share: settings from `features` and `flags`, views from objects."""

from __future__ import annotations

from tests.vectors.runner import Case

from pvbinder.model.json import Json, encode
from pvbinder.model.objects import (
    Claim,
    StorageClass,
    Volume,
    parse_claim,
    parse_storage_class,
    parse_volume,
)
from pvbinder.rules.settings import Migrations, Settings


def settings_of(case: Case) -> list[Settings]:
    """Return the settings to run a case with; a feature that may be ``any`` gives both."""
    feature = case.get("features", {}).get("VolumeAttributesClass", True)
    choices = (True, False) if feature == "any" else (bool(feature),)
    return [Settings(attributes_classes=choice, migrations=migrations_of(case)) for choice in choices]


def migrations_of(case: Case) -> Migrations:
    """Return the state of CSI migration that a case asks for."""
    flag = case.get("flags", {}).get("csiMigration")
    if flag is None:
        return Migrations()
    if "allInTreePluginsMigratedTo" in flag:
        return Migrations(every=flag["allInTreePluginsMigratedTo"])
    plugins = flag["plugins"].items()
    return Migrations({name: plugin["driver"] for name, plugin in plugins if plugin["migrated"]})


def volume_of(obj: Json) -> Volume:
    return parse_volume(encode(obj))


def claim_of(obj: Json) -> Claim:
    return parse_claim(encode(obj))


def class_of(obj: Json) -> StorageClass:
    return parse_storage_class(encode(obj))


def unequal(what: str, wanted: object, found: object) -> list[str]:
    """Return the difference between a function's result and the expected one."""
    return [] if wanted == found else [f"{what} should be {wanted!r} but is {found!r}"]
