"""The volume plugins as the flags want them.

Rules: docs/rules/binder.md#1-identity-configuration-wiring
       docs/rules/binder.md#93-in-tree-plugin-abilities-inside-the-binder
"""

from __future__ import annotations

from pathlib import PurePosixPath

from pvbinder.controllers.flags import OptionError
from pvbinder.controllers.options import ControllerOptions
from pvbinder.model.json import Json
from pvbinder.volumes.catalogue import Catalogue
from pvbinder.volumes.host_path import HostPathSettings
from pvbinder.volumes.loading import in_tree_plugins, load_catalogue
from pvbinder.volumes.recycler import RecyclerSettings, RecyclerTemplateError, read_template


def load_plugins(options: ControllerOptions) -> Catalogue:
    """Return the in-tree plugins as `options` want them, and those of other packages. Blocks; at start-up only.

    Raises `OptionError` for a recycler template that can't be used (RY-13) and for a root that is no directory's path.
    """
    host_path = HostPathSettings(
        provisioning=options.enable_hostpath_provisioner,
        root=_root(options.hostpath_root),
        recycler=RecyclerSettings(
            options.pv_recycler_minimum_timeout_hostpath,
            options.pv_recycler_timeout_increment_hostpath,
            _template(options.pv_recycler_pod_template_filepath_hostpath),
        ),
    )
    nfs = RecyclerSettings(
        options.pv_recycler_minimum_timeout_nfs,
        options.pv_recycler_increment_timeout_nfs,
        _template(options.pv_recycler_pod_template_filepath_nfs),
    )
    return load_catalogue(in_tree_plugins(host_path, nfs))


def _template(path: str) -> Json | None:
    if not path:
        return None
    try:
        return read_template(path)
    except RecyclerTemplateError as error:
        raise OptionError(error.message, hint="put the file right, or leave out the flag that names it") from error


def _root(root: str | None) -> str | None:
    if not root:
        return None
    path = PurePosixPath(root)
    if not path.is_absolute() or ".." in path.parts or len(path.parts) < 2:
        raise OptionError(f"--hostpath-root: {root!r} is no absolute path of a directory below /")
    return str(path)
