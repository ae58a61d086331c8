"""The plugins of a process: what decisions must know of them, and the plugins themselves.

CATALOGUE-1  A lookup runs no code of a plugin: who it is and what it can do was read when the catalogue was made.
CATALOGUE-2  A plugin without a usable identity, or with the name of another, is left out and its reason is in
             `refused`; the rest are there.

A `Catalogue` is the `Plugins` that the rules ask (`rules.plugins`): they say *which* plugin; `deleter(name)` and its
siblings give the plugin itself to the controller.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pvbinder.model.objects import Volume
from pvbinder.rules.plugins import PluginAbilities
from pvbinder.volumes.plugin import Deleter, Identity, PluginError, Provisioner, Recycler, VolumePlugin

T = TypeVar("T")

NOT_IDENTIFIED = "N/A"  # the reference's plugin name for volumes of no plugin (MT-1a, MT-4)


@dataclass(frozen=True, slots=True)
class _Entry:
    identity: Identity
    abilities: PluginAbilities
    provisioner: Provisioner | None
    deleter: Deleter | None
    recycler: Recycler | None


class Catalogue:
    """The plugins of a process, in the order in which they were given."""

    def __init__(self, plugins: Iterable[VolumePlugin] = ()) -> None:
        self._by_name: dict[str, _Entry] = {}
        self._by_source: dict[str, list[_Entry]] = {}
        self.refused: list[PluginError] = []
        for plugin in plugins:
            try:
                self._add(_entry(plugin))
            except PluginError as error:
                self.refused.append(error)

    def __iter__(self) -> Iterator[Identity]:
        """The identities of all plugins."""
        return (entry.identity for entry in self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    # -- what decisions ask --------------------------------------------------------------------------------------

    def named(self, name: str) -> PluginAbilities | None:
        """Return what the plugin called `name` can do (PR-4, DL-1)."""
        entry = self._by_name.get(name)
        return entry.abilities if entry is not None else None

    def supporting(self, volume: Volume) -> Sequence[PluginAbilities]:
        """Return what the plugins that know the source of `volume` can do (DL-1, RY-3); two are as bad as none."""
        return [entry.abilities for entry in self._by_source.get(volume.source, ())]

    def plugin_name_of(self, volume: Volume) -> str:
        """Return the name of the plugin that knows the source of `volume`, else ``N/A`` (MT-1a)."""
        match self.supporting(volume):
            case [plugin]:
                return plugin.name
            case _:
                return NOT_IDENTIFIED

    # -- what carrying out needs ---------------------------------------------------------------------------------

    def identity(self, name: str) -> Identity:
        """Return the identity of the plugin called `name`."""
        return self._entry(name).identity

    def provisioner(self, name: str) -> Provisioner:
        """Return the plugin called `name`, which can provision."""
        return _able(self._entry(name).provisioner, name, "provision")

    def deleter(self, name: str) -> Deleter:
        """Return the plugin called `name`, which can delete."""
        return _able(self._entry(name).deleter, name, "delete")

    def recycler(self, name: str) -> Recycler:
        """Return the plugin called `name`, which can recycle."""
        return _able(self._entry(name).recycler, name, "recycle")

    # ------------------------------------------------------------------------------------------------------------

    def _add(self, entry: _Entry) -> None:
        name = entry.identity.name
        if name in self._by_name:
            raise PluginError(f"volume plugin {name!r} was registered more than once")
        self._by_name[name] = entry
        for source in entry.identity.sources:
            self._by_source.setdefault(source, []).append(entry)

    def _entry(self, name: str) -> _Entry:
        entry = self._by_name.get(name)
        if entry is None:
            raise PluginError(f"no volume plugin matched name: {name}")
        return entry


def _able(ability: T | None, name: str, verb: str) -> T:
    if ability is None:
        raise PluginError(f"volume plugin {name!r} can't {verb}")
    return ability


def _entry(plugin: VolumePlugin) -> _Entry:
    """Read the identity and abilities of `plugin`, or raise `PluginError` (CATALOGUE-2)."""
    shown = type(plugin).__qualname__
    try:
        identity: object = plugin.identity
        provisioner = plugin if isinstance(plugin, Provisioner) else None
        deleter = plugin if isinstance(plugin, Deleter) else None
        recycler = plugin if isinstance(plugin, Recycler) else None
    except Exception as error:
        raise PluginError(f"volume plugin {shown} can't be asked who it is: {error!r}") from error
    if not isinstance(identity, Identity):
        raise PluginError(f"volume plugin {shown} has no Identity: its `identity` is a {type(identity).__name__}")
    name: object = identity.name
    sources: object = identity.sources
    if not isinstance(name, str) or not name:
        raise PluginError(f"volume plugin {shown} has no name")
    if not isinstance(sources, frozenset) or not all(isinstance(source, str) for source in sources):
        raise PluginError(f"the sources of volume plugin {name!r} are no frozenset of field names")
    abilities = PluginAbilities(
        name, provisioner is not None, deleter is not None, recycler is not None, identity.mount_options
    )
    return _Entry(identity, abilities, provisioner, deleter, recycler)
