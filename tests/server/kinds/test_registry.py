"""The served kinds and their order."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

import lightkube.resources

from pvbinder.model.resources import EVENTS, EVENTS_EVENTS, Resource
from pvbinder.server.kinds.built_in.secrets import CONFIG_MAP
from pvbinder.server.kinds.registry import Registry


def made_up(group: str, version: str = "v1", plural: str = "books") -> Resource:
    return Resource(group, version, "Book", plural, True)


def with_groups(*resources: Resource) -> Registry:
    registry = Registry()
    for resource in resources:
        registry.add(dataclasses.replace(CONFIG_MAP, resource=resource))
    return registry


def test_registry_1_groups_come_in_discovery_order() -> None:
    groups = with_groups(made_up("b.example.com"), made_up("a.example.com")).groups()
    assert groups[0] == ""
    assert groups.index("events.k8s.io") < groups.index("storage.k8s.io") < groups.index("coordination.k8s.io")
    assert groups[-3:] == ("a.example.com", "b.example.com", "snapshot.storage.k8s.io")


def test_registry_2_kinds_come_by_plural() -> None:
    plurals = [kind.resource.plural for kind in Registry().kinds("storage.k8s.io", "v1")]
    assert plurals == sorted(plurals)
    assert "csidrivers" in plurals


def test_registry_3_the_revision_grows_with_each_change() -> None:
    registry = Registry()
    before = registry.revision
    registry.add(dataclasses.replace(CONFIG_MAP, resource=made_up("example.com")))
    assert registry.revision > before
    before = registry.revision
    registry.remove(made_up("example.com"))
    assert registry.revision > before
    assert registry.find("example.com", "v1", "books") is None


def test_the_preferred_version_comes_first() -> None:
    versions = ("v1alpha1", "v2beta1", "v1", "v10", "v2", "v2beta2", "other")
    registry = with_groups(*(made_up("example.com", version) for version in versions))
    assert registry.versions("example.com") == ("v10", "v2", "v1", "v2beta2", "v2beta1", "v1alpha1", "other")


def test_events_of_both_groups_share_one_storage() -> None:
    registry = Registry()
    newer = registry.find(EVENTS_EVENTS.group, "v1", "events")
    older = registry.find(EVENTS.group, "v1", "events")
    assert newer is not None
    assert older is not None
    assert registry.stored_as(newer) is older
    assert registry.stored_as(older) is older


def test_a_kind_is_found_by_what_its_objects_call_themselves() -> None:
    found = Registry().of_kind("", "v1", "PersistentVolumeClaim")
    assert found is not None
    assert found.resource.plural == "persistentvolumeclaims"
    assert Registry().of_kind("", "v1", "Book") is None


NOT_SERVED = {  # kinds of lightkube-models that aren't served, apart from alpha and beta versions, and the reasons
    "v1 componentstatuses": "deprecated, and there are no components to ask",
}
NO_BUILT_IN = "snapshot.storage.k8s.io"  # of an extension that is always there


def known_to_lightkube() -> set[tuple[str, str, str]]:
    """Group, version and plural of every kind that lightkube-models has."""
    known = set()
    for module in pkgutil.iter_modules(lightkube.resources.__path__):
        for each in vars(importlib.import_module(f"lightkube.resources.{module.name}")).values():
            info = getattr(each, "_api_info", None)
            if isinstance(each, type) and info is not None and info.parent is None:
                known.add((info.resource.group, info.resource.version, info.plural))
    return known


def test_every_stable_kind_is_served_and_no_other() -> None:
    stable = {found for found in known_to_lightkube() if "alpha" not in found[1] and "beta" not in found[1]}
    served = {(kind.resource.group, kind.resource.version, kind.resource.plural) for kind in Registry()}
    missing = {f"{f'{group}/' if group else ''}{version} {plural}" for group, version, plural in stable - served}
    assert missing == NOT_SERVED.keys()
    assert {group for group, _, _ in served - stable} == {NO_BUILT_IN}


def test_autoscalers_of_both_versions_share_one_storage() -> None:
    registry = Registry()
    older = registry.find("autoscaling", "v1", "horizontalpodautoscalers")
    newer = registry.find("autoscaling", "v2", "horizontalpodautoscalers")
    assert older is not None
    assert newer is not None
    assert registry.stored_as(older) is newer
    assert registry.versions("autoscaling") == ("v2", "v1")
