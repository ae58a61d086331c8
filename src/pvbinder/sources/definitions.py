"""Definitions of custom resources as kube-apiserver stores them: in v1beta1, which it serves no more, but is shorter.

DEFINITIONS-1  What comes out is the definition in v1, as the API server would show it.
DEFINITIONS-2  What makes no sense in a definition comes out as it went in: whoever uses it will say what is wrong.
"""

from __future__ import annotations

from typing import Any, Final

from pvbinder.model.json import Json

GROUP: Final = "apiextensions.k8s.io"
STORED: Final = (f"{GROUP}/v1beta1", "CustomResourceDefinition")
_OF_ALL_VERSIONS: Final = (
    ("validation", "schema"),
    ("subresources", "subresources"),
    ("additionalPrinterColumns", "additionalPrinterColumns"),
    ("selectableFields", "selectableFields"),
)


def in_v1(document: Json) -> Json:
    """Return a definition of v1beta1 in v1 (DEFINITIONS-1, DEFINITIONS-2)."""
    spec = document.get("spec")
    if not isinstance(spec, dict):
        return document
    kept = {key: spec[key] for key in ("group", "names", "scope") if key in spec}
    kept.setdefault("scope", "Namespaced")
    kept["versions"] = _versions(spec)
    if isinstance(spec.get("conversion"), dict):
        kept["conversion"] = _conversion(spec["conversion"])
    if spec.get("preserveUnknownFields", True):  # unset was true then
        kept["preserveUnknownFields"] = True
    return {**document, "apiVersion": f"{GROUP}/v1", "spec": kept}


def _versions(spec: Json) -> list[Any]:
    """Return the versions, each with what was said once for all of them."""
    versions = spec.get("versions") or [{"name": spec.get("version"), "served": True, "storage": True}]
    of_all = {new: spec[old] for old, new in _OF_ALL_VERSIONS if spec.get(old)}
    if not isinstance(versions, list):
        return []
    return [_version({**of_all, **each}) if isinstance(each, dict) else each for each in versions]


def _version(version: Json) -> Json:
    columns = version.get("additionalPrinterColumns")
    if not isinstance(columns, list):
        return version
    renamed = [
        {"jsonPath" if key == "JSONPath" else key: value for key, value in each.items()}
        if isinstance(each, dict)
        else each
        for each in columns
    ]
    return {**version, "additionalPrinterColumns": renamed}


def _conversion(conversion: Json) -> Json:
    webhook = {
        new: conversion[old]
        for old, new in (
            ("webhookClientConfig", "clientConfig"),
            ("conversionReviewVersions", "conversionReviewVersions"),
        )
        if conversion.get(old)
    }
    return {"strategy": conversion.get("strategy") or "None", **({"webhook": webhook} if webhook else {})}
