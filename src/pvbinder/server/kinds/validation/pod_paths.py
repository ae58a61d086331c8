"""Paths inside volumes: files that several sources put at the same place, or where another has a directory."""

from __future__ import annotations

from typing import NamedTuple

from pvbinder.server.objects.kind import Json


class _Path(NamedTuple):
    path: str
    source: str = ""

    def __str__(self) -> str:
        return f'"{self.path}" ({self.source})' if self.source else f'"{self.path}"'

    def meets(self, other: _Path) -> bool:
        """Tell whether one of the two is the other, or inside it."""
        one, two = f"{self.path}/", f"{other.path}/"
        return bool(self.path and other.path) and (one.startswith(two) or two.startswith(one))


def warn_of_paths(volumes: list[Json]) -> list[str]:
    """Warn of paths that overlap inside one volume."""
    found: list[str] = []
    for volume in volumes:
        name = volume.get("name", "")
        for field, kind, key in (
            ("configMap", "ConfigMap", "name"),
            ("secret", "Secret", "secretName"),
            ("downwardAPI", "DownwardAPI", ""),
        ):
            source = volume.get(field) or {}
            shown = f'{kind} "{source.get(key) or ""}"' if key else kind
            found += _overlaps(name, shown, [_Path(item.get("path", "")) for item in source.get("items") or ()])
        for_all: list[_Path] = []
        for source in (volume.get("projected") or {}).get("sources") or ():
            if not source:
                found.append(f'volume "{name}" (Projected) has no sources provided')
            for_all += _projected(source)
        found += _overlaps(name, "Projected", for_all)
    return found


def _overlaps(volume: str, kind: str, paths: list[_Path]) -> list[str]:
    found: list[str] = []
    before: list[_Path] = []
    for one in paths:
        path = one._replace(path=one.path.rstrip("/"))
        found += (
            f'volume "{volume}" ({kind}): overlapping paths: {path} with {other}'
            for other in before
            if path.meets(other)
        )
        before.append(path)
    return found


def _projected(source: Json) -> list[_Path]:
    """Return the paths of one source of a projected volume."""
    for field, kind in (("configMap", "ConfigMap"), ("secret", "Secret")):
        if items := (source.get(field) or {}).get("items"):
            shown = f'{kind} "{source[field].get("name") or ""}"'
            return [_Path(item.get("path", ""), shown) for item in items]
    if items := (source.get("downwardAPI") or {}).get("items"):
        return [_Path(item.get("path", ""), "DownwardAPI") for item in items]
    if token := source.get("serviceAccountToken"):
        return [_Path(token.get("path", ""), "ServiceAccountToken")]
    if bundle := source.get("clusterTrustBundle"):
        name = bundle["name"] if bundle.get("name") is not None else bundle.get("signerName") or ""
        return [_Path(bundle.get("path", ""), f'ClusterTrustBundle "{name}"')]
    certificate: Json = source.get("podCertificate") or {}
    return [
        _Path(certificate[field], f"PodCertificate {kind}")
        for field, kind in (
            ("certificateChainPath", "chain"),
            ("keyPath", "key"),
            ("credentialBundlePath", "credential bundle"),
        )
        if certificate.get(field)
    ]
