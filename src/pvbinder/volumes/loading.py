"""The plugins of a process: the in-tree ones, and those of other packages under `ENTRY_POINTS`.

LOADING-1  A package's plugin that can't be imported or made, or that takes longer than `timeout_seconds` over it, is
           left out: it's logged, and counted in the catalogue's `refused`. The others are there.
LOADING-2  An in-tree plugin keeps its name whatever is installed.

An entry point names something that makes the plugin when it's called without arguments, as a class does:

    [project.entry-points."pvbinder.volume_plugins"]
    archive = "example_archive:ArchivePlugin"
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from pvbinder import logs
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.host_path import HostPathPlugin, HostPathSettings
from pvbinder.volumes.nfs import NfsPlugin
from pvbinder.volumes.plugin import PluginError, VolumePlugin
from pvbinder.volumes.recycler import RecyclerSettings

ENTRY_POINTS: Final = "pvbinder.volume_plugins"
TIMEOUT_SECONDS: Final = 10.0

log = logs.get(__name__)


def in_tree_plugins(
    host_path: HostPathSettings | None = None, nfs: RecyclerSettings | None = None
) -> tuple[VolumePlugin, ...]:
    """Return the plugins that the reference has in its binder (9.3)."""
    return HostPathPlugin(host_path), NfsPlugin(nfs)


def load_catalogue(
    in_tree: Iterable[VolumePlugin],
    *,
    installed: Iterable[EntryPoint] | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Catalogue:
    """Return the catalogue of `in_tree` and of the installed plugins (LOADING-1); it may block for that long."""
    found = list(installed) if installed is not None else list(entry_points(group=ENTRY_POINTS))
    plugins: list[VolumePlugin] = list(in_tree)
    refused: list[PluginError] = []
    for entry_point in sorted(found, key=lambda entry_point: entry_point.name):
        try:
            plugins.append(_within(timeout_seconds, entry_point))
        except PluginError as error:
            refused.append(error)
    catalogue = Catalogue(plugins)
    catalogue.refused += refused
    for problem in catalogue.refused:
        log.error("volume plugin left out", err=problem.message)
    return catalogue


def _within(timeout_seconds: float, entry_point: EntryPoint) -> VolumePlugin:
    """Import and make the plugin of `entry_point` in a thread, because either may never come back."""
    results: list[VolumePlugin | BaseException] = []

    def work() -> None:
        try:
            results.append(entry_point.load()())
        except BaseException as error:  # noqa: BLE001  (the boundary to other people's code)
            results.append(error)

    thread = threading.Thread(target=work, name="volume plugin loading", daemon=True)
    thread.start()
    thread.join(timeout_seconds)
    if not results:
        raise PluginError(f"{_shown(entry_point)} was not loaded within {timeout_seconds:g} s")
    result = results[0]
    if isinstance(result, BaseException):
        raise PluginError(f"{_shown(entry_point)} can't be loaded: {result!r}") from result
    return result


def _shown(entry_point: EntryPoint) -> str:
    package = entry_point.dist.name if entry_point.dist is not None else "an unknown package"
    return f"volume plugin {entry_point.name!r} of {package}"
