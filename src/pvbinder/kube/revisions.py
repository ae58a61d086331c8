"""Revisions of objects and lists as numbers."""

from __future__ import annotations

from pvbinder.kube.views import KubernetesObject
from pvbinder.model.resource_versions import revision_number


def revision_of(view: KubernetesObject) -> int:
    """The revision of an object as a number (B-10)."""
    return number(view.resource_version)


def number(resource_version: str) -> int:
    """A resource version as a number; one that is none counts as the oldest, so that anything numbered replaces it."""
    known = revision_number(resource_version)
    return -1 if known is None else known
