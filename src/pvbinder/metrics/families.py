"""Every metric that we make, declared once.

Names, types and labels of the first part are the reference's (docs/rules/binder.md#14-metrics, EV-6): existing
dashboards and alerts keep working. The second part is our own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from pvbinder.model.histogram import Durations

MetricType: TypeAlias = Literal["counter", "gauge", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric; `meaning` is its help text, without the stage that the reference puts before its own."""

    name: str
    type: MetricType
    labels: tuple[str, ...]
    meaning: str
    is_ours: bool = False
    is_sidecars: bool = False

    @property
    def help(self) -> str:
        """The help text as it is shown; the sidecars put no stage before theirs."""
        return self.meaning if self.is_ours or self.is_sidecars else f"[ALPHA] {self.meaning}"

    def __call__(self, value: float | Durations, *labels: str) -> Sample:
        """Return what was measured, for these values of the labels."""
        if len(labels) != len(self.labels):
            raise ValueError(f"{self.name} has the labels {self.labels}, not as many as {labels}")
        if isinstance(value, Durations) != (self.type == "histogram"):
            raise ValueError(f"{self.name} is a {self.type}: {value!r} is none")
        return Sample(self, labels, value)


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured value, for one combination of labels."""

    family: Family
    labels: tuple[str, ...]
    value: float | Durations


# ------------------------------------------------------------------------------------------------ the reference's

VOLUMES: Final = Family(
    "pv_collector_total_pv_count",
    "gauge",
    ("plugin_name", "volume_mode"),
    "Gauge measuring total number of persistent volumes",
)
BOUND_VOLUMES: Final = Family(
    "pv_collector_bound_pv_count",
    "gauge",
    ("storage_class",),
    "Gauge measuring number of persistent volume currently bound",
)
UNBOUND_VOLUMES: Final = Family(
    "pv_collector_unbound_pv_count",
    "gauge",
    ("storage_class",),
    "Gauge measuring number of persistent volume currently unbound",
)
_CLAIM_LABELS: Final = ("namespace", "storage_class", "volume_attributes_class")
BOUND_CLAIMS: Final = Family(
    "pv_collector_bound_pvc_count",
    "gauge",
    _CLAIM_LABELS,
    "Gauge measuring number of persistent volume claim currently bound",
)
UNBOUND_CLAIMS: Final = Family(
    "pv_collector_unbound_pvc_count",
    "gauge",
    _CLAIM_LABELS,
    "Gauge measuring number of persistent volume claim currently unbound",
)
OPERATIONS: Final = Family(
    "volume_operation_total_seconds",
    "histogram",
    ("plugin_name", "operation_name"),
    "Storage operation end to end duration in seconds",
)
OPERATION_ERRORS: Final = Family(
    "volume_operation_errors_total",
    "counter",
    ("plugin_name", "operation_name"),
    "Total volume operation errors",
)
OPERATION_ERRORS_TWIN: Final = Family(
    "volume_operation_total_errors",
    "counter",
    ("plugin_name", "operation_name"),
    "(Deprecated since 1.36.0) Total volume operation errors",
)
CLASS_ASSIGNMENTS: Final = Family(
    "retroactive_storageclass_total",
    "counter",
    (),
    "Total number of retroactive StorageClass assignments to persistent volume claim",
)
CLASS_ASSIGNMENT_ERRORS: Final = Family(
    "retroactive_storageclass_errors_total",
    "counter",
    (),
    "Total number of failed retroactive StorageClass assignments to persistent volume claim",
)
PLUGIN_CALLS: Final = Family(
    "storage_operation_duration_seconds",
    "histogram",
    ("volume_plugin", "operation_name", "status", "migrated"),
    "Storage operation duration",
)
EPHEMERAL_CREATES: Final = Family(
    "ephemeral_volume_controller_create_total",
    "counter",
    (),
    "Number of PersistentVolumeClaim creation requests",
)
EPHEMERAL_CREATE_FAILURES: Final = Family(
    "ephemeral_volume_controller_create_failures_total",
    "counter",
    (),
    "Number of PersistentVolumeClaim creation requests",
)


def _sidecars(name: str, type_: MetricType, labels: list[str], meaning: str) -> Family:
    return Family(name, type_, tuple(labels), meaning, is_sidecars=True)


_BY_CLASS_AND_SOURCE: Final = "Broken down by storage class name and source of the claim."
PROVISIONED: Final = _sidecars(
    "controller_persistentvolumeclaim_provision_total",
    "counter",
    ["class", "source"],
    f"Total number of persistent volumes provisioned succesfully. {_BY_CLASS_AND_SOURCE}",
)
PROVISION_FAILED: Final = _sidecars(
    "controller_persistentvolumeclaim_provision_failed_total",
    "counter",
    ["class", "source"],
    f"Total number of persistent volume provision failed attempts. {_BY_CLASS_AND_SOURCE}",
)
PROVISION_SECONDS: Final = _sidecars(
    "controller_persistentvolumeclaim_provision_duration_seconds",
    "histogram",
    ["class", "source"],
    "Latency in seconds to provision persistent volumes. Failed provisioning attempts are ignored. "
    f"{_BY_CLASS_AND_SOURCE}",
)
DELETED: Final = _sidecars(
    "controller_persistentvolume_delete_total",
    "counter",
    ["class"],
    "Total number of persistent volumes deleted succesfully. Broken down by storage class name.",
)
DELETE_FAILED: Final = _sidecars(
    "controller_persistentvolume_delete_failed_total",
    "counter",
    ["class"],
    "Total number of persistent volume delete failed attempts. Broken down by storage class name.",
)
DELETE_SECONDS: Final = _sidecars(
    "controller_persistentvolume_delete_duration_seconds",
    "histogram",
    ["class"],
    "Latency in seconds to delete persistent volumes. Failed deletion attempts are ignored. "
    "Broken down by storage class name.",
)
CSI_CALLS: Final = _sidecars(
    "csi_sidecar_operations_seconds",
    "histogram",
    ["driver_name", "method_name", "grpc_status_code"],
    "Container Storage Interface operation duration with gRPC error code status total",
)
SNAPSHOT_OPERATIONS: Final = _sidecars(
    "snapshot_controller_operation_total_seconds",
    "histogram",
    ["driver_name", "operation_name", "snapshot_type", "operation_status"],
    "Total number of seconds spent by the controller on an operation",
)
SNAPSHOT_OPERATIONS_RUNNING: Final = _sidecars(
    "snapshot_controller_operations_in_flight",
    "gauge",
    [],
    "Total number of operations in flight",
)
CAPACITIES_GOAL: Final = _sidecars(
    "csistoragecapacities_desired_goal",
    "gauge",
    [],
    "Number of CSIStorageCapacity objects that are supposed to be managed",
)
CAPACITIES_CURRENT: Final = _sidecars(
    "csistoragecapacities_desired_current",
    "gauge",
    [],
    "Number of CSIStorageCapacity objects that exist and are supposed to be managed",
)
CAPACITIES_OBSOLETE: Final = _sidecars(
    "csistoragecapacities_obsolete",
    "gauge",
    [],
    "Number of CSIStorageCapacity objects that exist and will be deleted",
)
LEADER: Final = Family(
    "leader_election_master_status",
    "gauge",
    ("name",),
    "Gauge of if the reporting system is master of the relevant lease, 0 indicates backup, 1 indicates master",
)
QUEUE_DEPTH: Final = Family("workqueue_depth", "gauge", ("name",), "Keys that wait for their turn")
QUEUE_ADDS: Final = Family("workqueue_adds_total", "counter", ("name",), "Keys added to the queue")
QUEUE_WAITED: Final = Family(
    "workqueue_queue_duration_seconds", "histogram", ("name",), "How long a key waited before it was worked on"
)
QUEUE_WORKED: Final = Family("workqueue_work_duration_seconds", "histogram", ("name",), "How long work on a key took")
QUEUE_UNFINISHED: Final = Family(
    "workqueue_unfinished_work_seconds",
    "gauge",
    ("name",),
    "Seconds that the keys in work have been in work, together; that it grows and grows means that something hangs",
)
QUEUE_LONGEST: Final = Family(
    "workqueue_longest_running_processor_seconds",
    "gauge",
    ("name",),
    "Seconds that the key that has been in work longest has been in work",
)
QUEUE_RETRIES: Final = Family("workqueue_retries_total", "counter", ("name",), "Keys added again after a failure")

# ------------------------------------------------------------------------------------------------ our own


def _ours(name: str, kind: MetricType, labels: Iterable[str], meaning: str) -> Family:
    return Family(f"pvbinder_{name}", kind, tuple(labels), meaning, is_ours=True)


BUILD: Final = _ours("build_info", "gauge", ["version"], "Always 1; the label says which version runs")
FINDINGS: Final = _ours("finding", "gauge", ["code", "level"], "Findings of the last audit, with --audit-interval")
CONTROLLERS: Final = _ours("controller_running", "gauge", ["controller"], "1 for each controller that runs")
BINDS: Final = _ours("binds_total", "counter", [], "Claims bound to a volume for the first time")
DECISIONS: Final = _ours(
    "decisions_total",
    "counter",
    ["object", "outcome", "rule"],
    "Decisions about claims and volumes, by what they came to and the rule that decided",
)
WAITING_CLAIMS: Final = _ours("waiting_claims", "gauge", [], "Claims that wait for something that would unblock them")
QUEUE_DELAYED: Final = _ours("queue_delayed", "gauge", ["name"], "Keys that wait for a time, after a failure mostly")
QUEUE_IN_WORK: Final = _ours("queue_in_work", "gauge", ["name"], "Keys that are in work")
QUEUE_FAILURES: Final = _ours("queue_failures_total", "counter", ["name"], "Times that work on a key failed")
OPERATIONS_RUNNING: Final = _ours("operations_running", "gauge", [], "Provisioning, deletion and recycling that runs")
OPERATIONS_BACKING_OFF: Final = _ours(
    "operations_backing_off", "gauge", [], "Operations that failed and may not be tried again yet"
)
OPERATIONS_STARTED: Final = _ours("operations_started_total", "counter", [], "Operations started")
OPERATIONS_FAILED: Final = _ours("operations_failed_total", "counter", [], "Operations that ended with an error")
CALLS_RUNNING: Final = _ours("plugin_calls_running", "gauge", ["plugin"], "Calls to volume plugins that run")
CALLS_LATE: Final = _ours(
    "plugin_calls_late_total",
    "counter",
    ["plugin"],
    "Calls to volume plugins that ended when nobody waited for them any longer",
)
PLUGINS_REFUSED: Final = _ours("plugins_refused", "gauge", [], "Installed volume plugins that could not be loaded")
REQUESTS: Final = _ours(
    "api_requests_total",
    "counter",
    ["user", "verb", "resource"],
    "Requests sent to the API server, repeated ones too; user is empty for lists and watches",
)
ANSWERS: Final = _ours(
    "api_answers_total", "counter", ["user", "code"], "Answers of the API server; code 0 is no answer at all"
)
REPETITIONS: Final = _ours(
    "api_repetitions_total", "counter", ["user"], "Requests that were repeated after a transient failure"
)
LATENCY: Final = _ours(
    "api_request_duration_seconds", "histogram", ["verb"], "How long the API server took to answer; watches left out"
)
WRITES_IN_FLIGHT: Final = _ours("api_writes_in_flight", "gauge", [], "Writes that the API server has not answered yet")
WRITE_WINDOW: Final = _ours("api_write_window", "gauge", [], "Writes that may be in flight at once")
WRITES_WAITING: Final = _ours("api_writes_waiting", "gauge", [], "Writes that wait for a place in the window")
WINDOW_CUTS: Final = _ours(
    "api_write_window_cuts_total", "counter", ["reason"], "How often the window was made smaller, and why"
)
INFORMER_OBJECTS: Final = _ours("informer_objects", "gauge", ["resource"], "Objects in the cache")
INFORMER_EVENTS: Final = _ours("informer_events_total", "counter", ["resource"], "Events of watches")
INFORMER_LISTS: Final = _ours("informer_lists_total", "counter", ["resource"], "Lists read, the first one included")
INFORMER_FAILURES: Final = _ours(
    "informer_failures_total", "counter", ["resource"], "Lists and watches that ended with an error"
)
INFORMER_UNREADABLE: Final = _ours(
    "informer_unreadable_total", "counter", ["resource"], "Objects that could not be read and were left as they were"
)
EVENTS: Final = _ours(
    "events_total",
    "counter",
    ["component", "result"],
    "Kubernetes events that were to be told, and what became of them",
)
SERVER_REQUESTS: Final = _ours(
    "server_requests_total",
    "counter",
    ["verb", "resource", "code"],
    "Requests answered by the embedded server; resource is empty for what it doesn't serve and for other paths",
)
SERVER_LATENCY: Final = _ours(
    "server_request_duration_seconds",
    "histogram",
    ["verb"],
    "How long the embedded server took to answer; watches left out",
)
SERVER_WATCHES: Final = _ours("server_watches", "gauge", ["resource"], "Open watches")
SERVER_OBJECTS: Final = _ours("server_objects", "gauge", ["resource"], "Objects stored")
SERVER_REVISION: Final = _ours("server_revision", "gauge", [], "The newest revision")
SERVER_COMMITS: Final = _ours("server_commits_total", "counter", [], "Batches of writes committed")
SERVER_WRITES: Final = _ours(
    "server_committed_writes_total", "counter", [], "Writes committed; divided by the commits, the size of a batch"
)
SERVER_COMMIT_FAILURES: Final = _ours(
    "server_commit_failures_total", "counter", [], "Batches that could not be committed: their writes were refused"
)
SERVER_COMMIT_LATENCY: Final = _ours(
    "server_commit_duration_seconds", "histogram", [], "How long it took until a batch was on disk"
)
SERVER_HISTORY_CHANGES: Final = _ours("server_history_changes", "gauge", [], "Changes kept for watches")
SERVER_HISTORY_BYTES: Final = _ours("server_history_bytes", "gauge", [], "Bytes of the changes kept for watches")

FAMILIES: Final = tuple(family for family in list(globals().values()) if isinstance(family, Family))
BY_NAME: Final = {family.name: family for family in FAMILIES}
