"""Feature gates, under the reference's names and with its stages and defaults (Kubernetes 1.36).

Only gates that change what our controllers do are known; a gate that the reference has locked accepts only that value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from pvbinder.model.errors import PvbinderError
from pvbinder.model.go_values import parse_bool

Stage = Literal["Alpha", "Beta", "GA"]


class FeatureGateError(PvbinderError):
    """A setting of a feature gate that can't be."""


@dataclass(frozen=True, slots=True)
class FeatureGate:
    """A switch and its default."""

    name: str
    stage: Stage
    default: bool
    is_locked: bool = False


UNUSED_SINCE: Final = FeatureGate("PersistentVolumeClaimUnusedSinceTime", "Alpha", default=False)
ATTRIBUTES_CLASSES: Final = FeatureGate("VolumeAttributesClass", "GA", default=True, is_locked=True)
RECOVER_EXPANSION: Final = FeatureGate("RecoverVolumeExpansionFailure", "GA", default=True, is_locked=True)

KNOWN: Final[Mapping[str, FeatureGate]] = MappingProxyType(
    {gate.name: gate for gate in (UNUSED_SINCE, ATTRIBUTES_CLASSES, RECOVER_EXPANSION)}
)
_GROUPS: Final[Mapping[str, Stage]] = MappingProxyType({"AllAlpha": "Alpha", "AllBeta": "Beta"})


@dataclass(frozen=True, slots=True)
class FeatureGates:
    """Which gates are on; `settings` are the gates that were set by flag."""

    settings: Mapping[str, bool] = field(default_factory=lambda: MappingProxyType({}))

    def is_on(self, gate: FeatureGate) -> bool:
        """Tell whether `gate` is on: its own setting, else that of its stage, else its default."""
        if gate.name in self.settings:
            return self.settings[gate.name]
        for group, stage in _GROUPS.items():
            if stage == gate.stage and group in self.settings:
                return self.settings[group]
        return gate.default


def parse_feature_gates(text: str) -> FeatureGates:
    """Read ``--feature-gates A=true,B=false``, or raise `FeatureGateError` in the reference's words."""
    settings: dict[str, bool] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, separator, value = (piece.strip() for piece in part.partition("="))
        if not separator:
            raise FeatureGateError(f"missing bool value for {name}", hint=f"write {name}=true or {name}=false")
        is_on = parse_bool(value)
        if is_on is None:
            raise FeatureGateError(f"invalid value of {name}={value}", hint=f"write {name}=true or {name}=false")
        gate = KNOWN.get(name)
        if gate is None and name not in _GROUPS:
            raise FeatureGateError(
                f"unrecognized feature gate: {name}", hint=f"known are {', '.join(sorted([*KNOWN, *_GROUPS]))}"
            )
        if gate is not None and gate.is_locked and is_on != gate.default:
            shown = "true" if gate.default else "false"
            raise FeatureGateError(f"cannot set feature gate {name} to {value}, feature is locked to {shown}")
        settings[name] = is_on
    return FeatureGates(MappingProxyType(settings))
