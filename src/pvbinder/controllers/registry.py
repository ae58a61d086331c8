"""Every controller by the reference's name, and which of them ``--controllers`` chooses.

CHOICE-1  Names and aliases are kube-controller-manager's; an alias stands wherever a name may.
CHOICE-2  ``--controllers`` is read as there: ``*`` is all that are on by default, ``name`` switches one on, ``-name``
          off; the first entry for a name counts, and an empty list chooses none.
CHOICE-3  An unknown name is refused, with the known ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from pvbinder.controllers import features
from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.features import FeatureGate
from pvbinder.model import names
from pvbinder.model.errors import PvbinderError


class UnknownControllerError(PvbinderError):
    """``--controllers`` names a controller that there is not."""


@dataclass(frozen=True, slots=True)
class ControllerDeclaration:
    """A controller that can be started; `user` is its user name in a cluster (`users.user_of`)."""

    name: str
    user: str
    make: Callable[[ControllerContext], Controller]
    alias: str = ""
    on_by_default: bool = True
    gate: FeatureGate | None = None
    needs_credentials: bool = False  # of the API server: left out where there are none


def _binder(context: ControllerContext) -> Controller:
    from pvbinder.controllers.binder_controller import BinderController

    return BinderController(context)


def _pvc_protection(context: ControllerContext) -> Controller:
    from pvbinder.controllers.protection.claims import ClaimProtectionController

    return ClaimProtectionController(context)


def _pv_protection(context: ControllerContext) -> Controller:
    from pvbinder.controllers.protection.volumes import VolumeProtectionController

    return VolumeProtectionController(context)


def _vac_protection(context: ControllerContext) -> Controller:
    from pvbinder.controllers.protection.attributes_classes import AttributesClassProtectionController

    return AttributesClassProtectionController(context)


def _ephemeral_volumes(context: ControllerContext) -> Controller:
    from pvbinder.controllers.ephemeral_volumes import EphemeralVolumeController

    return EphemeralVolumeController(context)


def _expander(context: ControllerContext) -> Controller:
    from pvbinder.controllers.expander import ExpandController

    return ExpandController(context)


def _resource_quotas(context: ControllerContext) -> Controller:
    from pvbinder.controllers.resource_quotas import ResourceQuotas

    return ResourceQuotas(context)


def _namespaces(context: ControllerContext) -> Controller:
    from pvbinder.controllers.namespaces import Namespaces

    return Namespaces(context)


def _garbage_collector(context: ControllerContext) -> Controller:
    from pvbinder.controllers.garbage_collector import GarbageCollector

    return GarbageCollector(context)


def _cluster_roles(context: ControllerContext) -> Controller:
    from pvbinder.controllers.accounts.cluster_roles import ClusterRoleAggregation

    return ClusterRoleAggregation(context)


def _default_accounts(context: ControllerContext) -> Controller:
    from pvbinder.controllers.accounts.default_accounts import DefaultAccounts

    return DefaultAccounts(context)


def _root_certificates(context: ControllerContext) -> Controller:
    from pvbinder.controllers.accounts.root_certificates import RootCertificates

    assert context.credentials is not None, "it is declared to need them"
    return RootCertificates(context, context.credentials)


def _token_secrets(context: ControllerContext) -> Controller:
    from pvbinder.controllers.accounts.token_secrets import TokenSecrets

    assert context.credentials is not None, "it is declared to need them"
    return TokenSecrets(context, context.credentials)


def _stateful_sets(context: ControllerContext) -> Controller:
    from pvbinder.controllers.stateful_sets import StatefulSets

    return StatefulSets(context)


def _replica_sets(context: ControllerContext) -> Controller:
    from pvbinder.controllers.workloads.replica_sets import ReplicaSets

    return ReplicaSets(context)


def _deployments(context: ControllerContext) -> Controller:
    from pvbinder.controllers.workloads.deployments import Deployments

    return Deployments(context)


def _daemon_sets(context: ControllerContext) -> Controller:
    from pvbinder.controllers.workloads.daemon_sets import DaemonSets

    return DaemonSets(context)


def _jobs(context: ControllerContext) -> Controller:
    from pvbinder.controllers.workloads.jobs import Jobs

    return Jobs(context)


def _cron_jobs(context: ControllerContext) -> Controller:
    from pvbinder.controllers.workloads.cron_jobs import CronJobs

    return CronJobs(context)


def _finished_jobs(context: ControllerContext) -> Controller:
    from pvbinder.controllers.workloads.finished_jobs import FinishedJobs

    return FinishedJobs(context)


def _disruption_budgets(context: ControllerContext) -> Controller:
    from pvbinder.controllers.workloads.disruption_budgets import DisruptionBudgets

    return DisruptionBudgets(context)


def _pod_garbage(context: ControllerContext) -> Controller:
    from pvbinder.controllers.nodes.pod_garbage import PodGarbageCollector

    return PodGarbageCollector(context)


def _taint_eviction(context: ControllerContext) -> Controller:
    from pvbinder.controllers.nodes.taint_eviction import TaintEviction

    return TaintEviction(context)


def _node_lifecycle(context: ControllerContext) -> Controller:
    from pvbinder.controllers.nodes.lifecycle import NodeLifecycle

    return NodeLifecycle(context)


def _scheduler(context: ControllerContext) -> Controller:
    from pvbinder.controllers.scheduler import Scheduler

    return Scheduler(context)


def _kubelet(context: ControllerContext) -> Controller:
    from pvbinder.controllers.kubelet import Kubelet

    return Kubelet(context)


SERVICE_ACCOUNTS: Final = "serviceaccount-controller"

CONTROLLERS: Final[tuple[ControllerDeclaration, ...]] = (
    ControllerDeclaration(names.BINDER_CONTROLLER, names.BINDER_USER_AGENT, _binder, alias=names.BINDER_ALIAS),
    ControllerDeclaration(
        "persistentvolumeclaim-protection-controller",
        user="pvc-protection-controller",
        make=_pvc_protection,
        alias="pvc-protection",
    ),
    ControllerDeclaration(
        "persistentvolume-protection-controller",
        user="pv-protection-controller",
        make=_pv_protection,
        alias="pv-protection",
    ),
    ControllerDeclaration(
        "volumeattributesclass-protection-controller",
        user="volumeattributesclass-protection-controller",
        make=_vac_protection,
        gate=features.ATTRIBUTES_CLASSES,
    ),
    ControllerDeclaration(
        "ephemeral-volume-controller",
        user="ephemeral-volume-controller",
        make=_ephemeral_volumes,
        alias="ephemeral-volume",
    ),
    ControllerDeclaration(
        "persistentvolume-expander-controller",
        user="expand-controller",
        make=_expander,
        alias="persistentvolume-expander",
    ),
    ControllerDeclaration(
        "resourcequota-controller", user="resourcequota-controller", make=_resource_quotas, alias="resourcequota"
    ),
    ControllerDeclaration("namespace-controller", user="namespace-controller", make=_namespaces, alias="namespace"),
    ControllerDeclaration(
        "garbage-collector-controller",
        user="generic-garbage-collector",
        make=_garbage_collector,
        alias="garbagecollector",
    ),
    ControllerDeclaration(
        "clusterrole-aggregation-controller",
        user="clusterrole-aggregation-controller",
        make=_cluster_roles,
        alias="clusterrole-aggregation",
    ),
    ControllerDeclaration(
        SERVICE_ACCOUNTS, user="service-account-controller", make=_default_accounts, alias="serviceaccount"
    ),
    ControllerDeclaration(
        "serviceaccount-token-controller",
        user="system:kube-controller-manager",
        make=_token_secrets,
        alias="serviceaccount-token",
        needs_credentials=True,
    ),
    ControllerDeclaration(
        "root-ca-certificate-publisher-controller",
        user="root-ca-cert-publisher",
        make=_root_certificates,
        alias="root-ca-cert-publisher",
        needs_credentials=True,
    ),
    ControllerDeclaration(
        "statefulset-controller",
        user="statefulset-controller",
        make=_stateful_sets,
        alias="statefulset",
        on_by_default=False,
    ),
    ControllerDeclaration(
        "deployment-controller", "deployment-controller", _deployments, alias="deployment", on_by_default=False
    ),
    ControllerDeclaration(
        "replicaset-controller", "replicaset-controller", _replica_sets, alias="replicaset", on_by_default=False
    ),
    ControllerDeclaration(
        "daemonset-controller", "daemon-set-controller", _daemon_sets, alias="daemonset", on_by_default=False
    ),
    ControllerDeclaration("job-controller", "job-controller", _jobs, alias="job", on_by_default=False),
    ControllerDeclaration("cronjob-controller", "cronjob-controller", _cron_jobs, alias="cronjob", on_by_default=False),
    ControllerDeclaration(
        "ttl-after-finished-controller",
        "ttl-after-finished-controller",
        _finished_jobs,
        alias="ttl-after-finished",
        on_by_default=False,
    ),
    ControllerDeclaration(
        "disruption-controller", "disruption-controller", _disruption_budgets, alias="disruption", on_by_default=False
    ),
    ControllerDeclaration(
        "pod-garbage-collector-controller",
        "pod-garbage-collector",
        _pod_garbage,
        alias="podgc",
        on_by_default=False,
    ),
    ControllerDeclaration("taint-eviction-controller", "node-controller", _taint_eviction, on_by_default=False),
    ControllerDeclaration(
        "node-lifecycle-controller", "node-controller", _node_lifecycle, alias="nodelifecycle", on_by_default=False
    ),
    ControllerDeclaration("scheduler", user="system:kube-scheduler", make=_scheduler, on_by_default=False),
    ControllerDeclaration("kubelet", user="kubelet", make=_kubelet, on_by_default=False),
)

WORKLOADS: Final = frozenset(
    {
        "statefulset-controller",
        "deployment-controller",
        "replicaset-controller",
        "daemonset-controller",
        "disruption-controller",
        "job-controller",
        "cronjob-controller",
        "ttl-after-finished-controller",
    }
)
NODES: Final = frozenset({"pod-garbage-collector-controller", "taint-eviction-controller", "node-lifecycle-controller"})
SMALL: Final = WORKLOADS | NODES | {"scheduler", "kubelet"}  # the controllers that make a cluster out of nothing

# the controllers of persistent volumes; a cluster that runs has all the others
OF_VOLUMES: Final = frozenset(
    {
        names.BINDER_CONTROLLER,
        "persistentvolumeclaim-protection-controller",
        "persistentvolume-protection-controller",
        "volumeattributesclass-protection-controller",
        "ephemeral-volume-controller",
        "persistentvolume-expander-controller",
    }
)


def with_small_cluster(
    known: Iterable[ControllerDeclaration] = CONTROLLERS,
) -> tuple[ControllerDeclaration, ...]:
    """Return the declarations with what makes a small cluster on by default: scheduler, kubelet, workloads, nodes."""
    return tuple(replace(one, on_by_default=True) if one.name in SMALL else one for one in known)


def beside_a_cluster(known: Iterable[ControllerDeclaration] = CONTROLLERS) -> tuple[ControllerDeclaration, ...]:
    """Return the declarations with only those of persistent volumes on by default (CONTROL-5).

    They are named one by one: a controller that is new here never starts beside a cluster by itself.
    """
    return tuple(replace(one, on_by_default=one.name in OF_VOLUMES) for one in known)


def choose_controllers(
    text: str, known: Iterable[ControllerDeclaration] = CONTROLLERS
) -> tuple[ControllerDeclaration, ...]:
    """Return what ``--controllers`` chooses, in the order of the registry (CHOICE-2, CHOICE-3)."""
    declarations = tuple(known)
    names = {declaration.name: declaration.name for declaration in declarations}
    names |= {declaration.alias: declaration.name for declaration in declarations if declaration.alias}
    said: dict[str, bool] = {}
    has_star = False
    for word in filter(None, (word.strip() for word in text.split(","))):
        if word == "*":
            has_star = True
            continue
        name = names.get(word.removeprefix("-"))
        if name is None:
            listed = ", ".join(f"{d.name} ({d.alias})" if d.alias else d.name for d in declarations)
            wrong = word.removeprefix("-")
            near = difflib.get_close_matches(wrong.lower(), names, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            raise UnknownControllerError(f"there is no controller {wrong!r}{meant}", hint=f"there are {listed}")
        said.setdefault(name, not word.startswith("-"))
    return tuple(d for d in declarations if said.get(d.name, has_star and d.on_by_default))
