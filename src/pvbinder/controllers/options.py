"""The settings of the controllers by flags: the reference's flags, names and defaults.

Rules: docs/rules/binder.md#1-identity-configuration-wiring
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pvbinder.controllers.features import FeatureGates


@dataclass(frozen=True, slots=True)
class ControllerOptions:
    """The flags of kube-controller-manager that concern our controllers; each is named as its flag is.

    Times are seconds. `hostpath_root` is ours: without it the reference's rule for paths to delete holds (9.3).
    """

    controllers: str = "*"
    feature_gates: FeatureGates = field(default_factory=FeatureGates)
    pvclaimbinder_sync_period: float = 15.0
    enable_dynamic_provisioning: bool = True
    enable_hostpath_provisioner: bool = False
    pv_recycler_pod_template_filepath_nfs: str = ""
    pv_recycler_minimum_timeout_nfs: int = 300
    pv_recycler_increment_timeout_nfs: int = 30
    pv_recycler_pod_template_filepath_hostpath: str = ""
    pv_recycler_minimum_timeout_hostpath: int = 60
    pv_recycler_timeout_increment_hostpath: int = 30
    flex_volume_plugin_dir: str = "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/"
    concurrent_ephemeralvolume_syncs: int = 5
    concurrent_gc_syncs: int = 20
    concurrent_namespace_syncs: int = 10
    hostpath_root: str | None = None
