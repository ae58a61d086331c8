"""The facts about the in-tree volume plugins that decisions need: names and abilities, not the plugins themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from pvbinder.model.objects import Volume


class PluginAbilities(Struct, frozen=True):
    """One plugin, as far as decisions care."""

    name: str
    can_provision: bool = False
    can_delete: bool = False
    can_recycle: bool = False
    takes_mount_options: bool = False


class Plugins(Protocol):
    """The plugins that are loaded."""

    def named(self, name: str) -> PluginAbilities | None:
        """Return the plugin called `name`."""
        ...

    def supporting(self, volume: Volume) -> Sequence[PluginAbilities]:
        """Return the plugins that know the source of `volume`."""
        ...


class NoPlugins:
    """No plugin at all."""

    def named(self, name: str) -> PluginAbilities | None:
        """Return None."""
        return None

    def supporting(self, volume: Volume) -> Sequence[PluginAbilities]:
        """Return nothing."""
        return ()
