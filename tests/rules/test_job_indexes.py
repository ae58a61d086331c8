"""The pods that a Job makes of its template."""

from __future__ import annotations

from tests.rules.test_jobs import job

from pvbinder.rules.job_indexes import job_pod

SOURCE = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}}
OWNER = [
    {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "name": "sums",
        "uid": "u",
        "controller": True,
        "blockOwnerDeletion": True,
    }
]


def test_a_pod_of_a_job() -> None:
    template = {
        "metadata": {"labels": {"a": "b"}, "finalizers": ["mine"]},
        "spec": {"containers": [{"name": "c"}]},
    }

    assert job_pod(job(template=template), None) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": {"a": "b"},
            "finalizers": ["mine", "batch.kubernetes.io/job-tracking"],
            "generateName": "sums-",
            "namespace": "shop",
            "ownerReferences": OWNER,
        },
        "spec": {"containers": [{"name": "c"}]},
    }


def test_a_pod_of_a_number() -> None:
    own = [{"name": "JOB_COMPLETION_INDEX", "value": "mine"}]
    other = [{"name": "OTHER"}]
    spec = {"initContainers": [{"name": "i"}], "containers": [{"name": "c", "env": other}, {"name": "d", "env": own}]}
    number = {"name": "JOB_COMPLETION_INDEX", "valueFrom": SOURCE}

    assert job_pod(job(template={"metadata": {"labels": {"a": "b"}}, "spec": spec}), 7) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": {"a": "b", "batch.kubernetes.io/job-completion-index": "7"},
            "annotations": {"batch.kubernetes.io/job-completion-index": "7"},
            "finalizers": ["batch.kubernetes.io/job-tracking"],
            "generateName": "sums-7-",
            "namespace": "shop",
            "ownerReferences": OWNER,
        },
        "spec": {
            "hostname": "sums-7",
            "initContainers": [{"name": "i", "env": [number]}],
            "containers": [{"name": "c", "env": [*other, number]}, {"name": "d", "env": own}],
        },
    }


def test_a_long_name_is_cut() -> None:
    document = job_pod(job(meta={"name": "n" * 70}, template={}), 3)

    assert document["metadata"]["generateName"] == "n" * 57 + "-"
    assert document["spec"]["hostname"] == "n" * 63
