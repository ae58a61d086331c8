"""Jobs: policies, what may change, and the status that a manager writes.

Rules: docs/rules/apiserver.md#6-core-helpers
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import LATER, NOW, change_refusals, changed, new, refusals, stored

from pvbinder.server.kinds.built_in.jobs import JOB
from pvbinder.server.objects.kind import Json

TEMPLATE: Json = {"spec": {"containers": [{"name": "c", "image": "a"}], "restartPolicy": "Never"}}
INDEXED: Json = {"completionMode": "Indexed", "completions": 5, "parallelism": 5}
CODES: Json = {"operator": "In", "values": [1, 2]}
RULES = "spec.podFailurePolicy.rules"
DONE = "spec.successPolicy.rules[0]"
ACTIONS = '"Count", "FailIndex", "FailJob", "Ignore"'


def job(**spec: Any) -> Json:
    return new("j", spec={"template": TEMPLATE, **spec})


SPECS: dict[str, tuple[Json, list[str]]] = {
    "failures": (
        {
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onExitCodes": {**CODES, "containerName": "c"}},
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            }
        },
        [],
    ),
    "failures that can't be": (
        {
            "podFailurePolicy": {
                "rules": [
                    {"action": "", "onExitCodes": {"operator": "x", "values": [], "containerName": "d"}},
                    {"action": "FailIndex", "onExitCodes": {"operator": "In", "values": [3, 0, 3]}},
                    {"action": "y", "onExitCodes": CODES, "onPodConditions": [{"type": "a"}]},
                    {"action": "Count"},
                ]
            },
            "podReplacementPolicy": "TerminatingOrFailed",
        },
        [
            f"{RULES}[0].action: Required value: valid values: [{ACTIONS.replace(',', '')}]",
            f'{RULES}[0].onExitCodes.operator: Unsupported value: "x": supported values: "In", "NotIn"',
            (
                f'{RULES}[0].onExitCodes.containerName: Invalid value: "d": '
                "must be one of the container or initContainer names in the pod template"
            ),
            f"{RULES}[0].onExitCodes.values: Invalid value: []: at least one value is required",
            f'{RULES}[1].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
            f"{RULES}[1].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
            f"{RULES}[1].onExitCodes.values[2]: Duplicate value: 3",
            f"{RULES}[1].onExitCodes.values: Invalid value: [3,0,3]: must be ordered",
            f'{RULES}[2].action: Unsupported value: "y": supported values: {ACTIONS}',
            (f'{RULES}[2].onPodConditions[0].status: Required value: valid values: ["False" "True" "Unknown"]'),
            f"{RULES}[2]: Invalid value: specifying both OnExitCodes and OnPodConditions is not supported",
            f"{RULES}[3]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported values: "Failed"',
        ],
    ),
    "success": ({**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0,2-4", "succeededCount": 4}]}}, []),
    "success of no indexes": (
        {"successPolicy": {"rules": [{"succeededCount": 1}]}},
        [
            (
                "spec.successPolicy: Invalid value: "
                '{"Rules":[{"SucceededIndexes":null,"SucceededCount":1}]}: requires indexed completion mode'
            )
        ],
    ),
    "success without rules": (
        {**INDEXED, "successPolicy": {}},
        [
            (
                "spec.successPolicy.rules: Required value: "
                "at least one rules must be specified when the successPolicy is specified"
            )
        ],
    ),
    "success without a number": (
        {**INDEXED, "successPolicy": {"rules": [{}]}},
        [f"{DONE}: Required value: at least one of succeededCount or succeededIndexes must be specified"],
    ),
    "success of more than there is": (
        {**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "1-2", "succeededCount": 6}]}},
        [
            (
                f"{DONE}.succeededCount: Invalid value: 6: "
                "must be less than or equal to 5 (the number of specified completions)"
            ),
            (
                f"{DONE}.succeededCount: Invalid value: 6: "
                "must be less than or equal to 2 (the number of indexes in the specified succeededIndexes field)"
            ),
        ],
    ),
    "indexes that are too many": (
        {**INDEXED, "parallelism": 100_001, "backoffLimitPerIndex": 1, "maxFailedIndexes": 6},
        [
            (
                "spec.parallelism: Invalid value: 100001: "
                "must be less than or equal to 100000 when completion mode is Indexed"
            ),
            "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
        ],
    ),
    "very many indexes": (
        {**INDEXED, "completions": 100_001, "parallelism": 10_001, "backoffLimitPerIndex": 1},
        [
            "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000",
            (
                "spec.parallelism: Invalid value: 10001: must be less than or equal to 10000 when completions are "
                "above 100000 and used with backoff limit per index"
            ),
        ],
    ),
    "a manager": ({"managedBy": "example.com/it"}, []),
    "a manager without a domain": (
        {"managedBy": "it"},
        ['spec.managedBy: Invalid value: "it": must be a domain-prefixed path (such as "acme.io/foo")'],
    ),
    "another's labels": (
        {
            "template": {**TEMPLATE, "metadata": {"labels": {"job-name": "k"}}},
            "selector": {"matchLabels": {"app": "a"}},
        },
        [
            (
                'spec.template.metadata.labels[job-name]: Invalid value: {"batch.kubernetes.io/controller-uid":"u-1",'
                '"batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"k"}: must be \'j\''
            ),
            (
                'spec.selector: Invalid value: {"matchLabels":{"app":"a","batch.kubernetes.io/controller-uid":"u-1"}}: '
                "`selector` not auto-generated"
            ),
            (
                'spec.template.metadata.labels: Invalid value: {"batch.kubernetes.io/controller-uid":"u-1",'
                '"batch.kubernetes.io/job-name":"j","controller-uid":"u-1","job-name":"k"}: '
                "`selector` does not match template `labels`"
            ),
        ],
    ),
    "pods of its own choice": (
        {
            "manualSelector": True,
            "template": {**TEMPLATE, "metadata": {"labels": {"app": "a"}}},
            "selector": {"matchLabels": {"app": "a"}},
        },
        [],
    ),
}
INDEXES = {
    "1-2-3": (
        'the fragment "1-2-3" violates the requirement that an index interval can have at most two parts '
        "separated by '-'"
    ),
    "a": 'cannot convert string to integer for index: "a"',
    "": "",
    "5": 'too large index: "5"',
    "3-2": "non-increasing order, previous: 3, current: 2",
    "0,3,1": "non-increasing order, previous: 3, current: 1",
}


@pytest.mark.parametrize(("spec", "said"), SPECS.values(), ids=SPECS)
def test_specs(spec: Json, said: list[str]) -> None:
    assert refusals(JOB, job(**spec)) == said


@pytest.mark.parametrize(("indexes", "why"), INDEXES.items())
def test_indexes(indexes: str, why: str) -> None:
    said = (
        [f'{DONE}.succeededIndexes: Invalid value: "{indexes}": error parsing succeededIndexes: {why}'] if why else []
    )
    assert refusals(JOB, job(**INDEXED, successPolicy={"rules": [{"succeededIndexes": indexes}]})) == said


def test_the_last_pod_must_have_a_possible_name() -> None:
    name = "a" * 62
    assert refusals(JOB, new(name, spec={**INDEXED, "template": TEMPLATE})) == [
        (f'metadata.name: Invalid value: "{name}": will not able to create pod with invalid DNS label: {name}-4')
    ]


def test_a_job_that_waits_may_choose_where_and_with_what_its_pods_run() -> None:
    old = stored(JOB, job(suspend=True))
    chosen = {
        "metadata": {"annotations": {"a": "b"}},
        "spec": {
            "nodeSelector": {"zone": "a"},
            "containers": [{"name": "c", "image": "a", "resources": {"requests": {"cpu": "1"}}}],
        },
    }
    assert change_refusals(JOB, old, {"spec": {"template": chosen}}) == []
    other = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "b"}]}}}}
    assert len(change_refusals(JOB, old, other)) == 1
    begun = {**old, "status": {"startTime": NOW}}
    assert len(change_refusals(JOB, begun, {"spec": {"template": chosen}})) == 1


@pytest.mark.parametrize(
    ("spec", "patch", "said"),
    [
        ({}, {"completions": 2}, ["spec.completions: Invalid value: 2: field is immutable"]),
        (INDEXED, {"completions": 6, "parallelism": 6}, []),
        (
            INDEXED,
            {"completions": 6},
            ["spec.completions: Invalid value: 6: can only be modified in tandem with spec.parallelism"],
        ),
        (
            {},
            {"managedBy": "example.com/it"},
            ['spec.managedBy: Invalid value: "example.com/it": field is immutable'],
        ),
        ({}, {"parallelism": 3, "suspend": True, "ttlSecondsAfterFinished": 1}, []),
    ],
)
def test_changes(spec: Json, patch: Json, said: list[str]) -> None:
    assert change_refusals(JOB, stored(JOB, job(**spec)), {"spec": patch}) == said


def conditions(*kinds: str) -> list[Json]:
    return [{"type": kind, "status": "True"} for kind in kinds]


COMPLETE: Json = {
    "conditions": conditions("SuccessCriteriaMet", "Complete"),
    "startTime": NOW,
    "completionTime": LATER,
    "succeeded": 1,
}
FAILED: Json = {"conditions": conditions("FailureTarget", "Failed"), "startTime": NOW, "failed": 1}
STATUSES: dict[str, tuple[Json, Json, list[str]]] = {
    "it runs": ({}, {"startTime": NOW, "active": 1, "ready": 1}, []),
    "it is complete": ({"startTime": NOW, "active": 1}, {**COMPLETE, "active": 0}, []),
    "it has failed": ({"startTime": NOW}, FAILED, []),
    "less than nothing": ({}, {"active": -1}, ["status.active: Invalid value: -1: must be greater than or equal to 0"]),
    "complete without everything": (
        {},
        {"conditions": conditions("Complete"), "active": 1},
        [
            "status.completionTime: Required value: completionTime is required for Complete jobs",
            (
                "status.conditions: Invalid value: "
                "cannot set Complete=True condition without the SuccessCriteriaMet=true condition"
            ),
            "status.active: Invalid value: 1: active>0 is invalid for finished job",
            "status.startTime: Required value: startTime is required for finished job",
        ],
    ),
    "failed without a reason, with pods": (
        {"startTime": NOW},
        {"conditions": conditions("Failed"), "terminating": 1, "uncountedTerminatedPods": {"failed": ["a", "a"]}},
        [
            'status.uncountedTerminatedPods.failed[1]: Duplicate value: "a"',
            (
                "status.conditions: Invalid value: "
                "cannot set Failed=True condition without the FailureTarget=true condition"
            ),
            (
                'status.uncountedTerminatedPods: Invalid value: {"Succeeded":null,"Failed":["a","a"]}: '
                "must be empty for finished job"
            ),
            "status.terminating: Invalid value: 1: terminating>0 is invalid for finished job",
        ],
    ),
    "complete and failed": (
        COMPLETE,
        {"conditions": conditions("SuccessCriteriaMet", "Complete", "FailureTarget", "Failed")},
        [
            "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
            "status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions",
        ],
    ),
    "an end before the start": (
        {"startTime": LATER},
        {**COMPLETE, "startTime": LATER, "completionTime": NOW},
        [f'status.completionTime: Invalid value: "{NOW}": must be equal to or after `startTime`'],
    ),
    "an end of what goes on": (
        {"startTime": NOW},
        {"completionTime": LATER},
        [
            (
                f'status.completionTime: Invalid value: "{LATER}": '
                "cannot set completionTime when there is no Complete=True condition"
            )
        ],
    ),
    "back to life": (
        FAILED,
        {"conditions": [], "failed": 0},
        [
            "status.conditions: Invalid value: cannot disable the terminal Failed=True condition",
            "status.conditions: Invalid value: cannot disable the terminal FailureTarget=True condition",
            "status.failed: Invalid value: 0: cannot decrease the failed counter",
        ],
    ),
    "another start": (
        {"startTime": NOW},
        {"startTime": LATER},
        [f'status.startTime: Invalid value: "{LATER}": field is immutable for unsuspended job once set'],
    ),
    "more ready than there are": (
        {},
        {"ready": 1},
        ["status.ready: Invalid value: 1: cannot set more ready pods than active"],
    ),
    "indexes of a job without": (
        {},
        {"completedIndexes": "0", "failedIndexes": "0"},
        [
            (
                'status.completedIndexes: Invalid value: "0": '
                "cannot set non-empty completedIndexes when non-indexed completion mode"
            ),
            (
                'status.failedIndexes: Invalid value: "0": '
                "cannot set non-null failedIndexes when backoffLimitPerIndex is null"
            ),
            'status.failedIndexes: Invalid value: "0": failedIndexes and completedIndexes overlap at index: 0',
        ],
    ),
}


@pytest.mark.parametrize(("before", "status", "said"), STATUSES.values(), ids=STATUSES)
def test_statuses(before: Json, status: Json, said: list[str]) -> None:
    old = {**stored(JOB, job()), "status": before}
    assert change_refusals(JOB, old, {"status": status}, "status") == said


def test_indexes_that_are_done_and_failed() -> None:
    old = stored(JOB, job(**INDEXED, backoffLimitPerIndex=1))
    right = {"status": {"completedIndexes": "0-1,4", "failedIndexes": "2-3"}}
    assert changed(JOB, old, right, subresource="status")["status"] == right["status"]
    wrong = {"status": {"completedIndexes": "0-2,9", "failedIndexes": "2-3"}}
    assert change_refusals(JOB, old, wrong, "status") == [
        'status.completedIndexes: Invalid value: "0-2,9": error parsing completedIndexes: too large index: "9"',
        'status.failedIndexes: Invalid value: "2-3": failedIndexes and completedIndexes overlap at index: 2',
    ]
