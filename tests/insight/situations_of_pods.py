"""Claims that wait for a pod which the scheduler can't place, or never sees (see `situations`)."""

from __future__ import annotations

from tests.insight.builders import DELAYED, ZONE, claim, driver, in_zone, node, pod
from tests.insight.situation import Situation

UNPLACED = {
    "a pod names a node that doesn't exist": Situation(
        (claim(), DELAYED, driver(), node(), pod(on="n7")),
        "PodBypassesScheduler",
        ("spec.nodeName n7", "nor is there such a node"),
        ("without spec.nodeName (the scheduler then picks a node that exists",),
        cured=True,
    ),
    "a pod of another scheduler": Situation(
        (claim(), DELAYED, driver(), node(), pod(schedulerName="volcano")),
        "WaitsForPodToBeScheduled",
        ("it waits for scheduler volcano, which pod web names", "whether volcano runs isn't known here"),
        code=0,
    ),
    "a pod with scheduling gates": Situation(
        (claim(), DELAYED, driver(), node(), pod(schedulingGates=[{"name": "example.com/queue"}])),
        "PodIsGated",
        ("pod web", "until its gates are removed: example.com/queue"),
        ("whoever set example.com/queue removes that", "kubectl patch pod web -n shop --type=json"),
        cured=True,
    ),
    "one pod has gates, another can't be scheduled": Situation(
        (
            claim(),
            DELAYED,
            driver(),
            node(),
            pod("first", schedulingGates=[{"name": "example.com/queue"}]),
            pod("next", nodeSelector={"disk": "ssd"}),
        ),
        "PodCannotBeScheduled",
        ("it waits for pod next, which can't be scheduled",),
        ("kubectl label node n1 disk=ssd",),
        cured=True,
    ),
    "a pod selects labels, of which a node lacks one": Situation(
        (claim(), DELAYED, driver(), node("n1"), node("n2", room="a"), pod(nodeSelector={"disk": "ssd", "room": "a"})),
        "PodCannotBeScheduled",
        ("didn't match Pod's node affinity/selector",),
        ("give node n2 the labels that pod web selects: kubectl label node n2 disk=ssd",),
        cured=True,
    ),
    "a pod selects a zone that no node is in": Situation(
        (claim(), DELAYED, driver(), in_zone("n1", "eu-1"), pod(nodeSelector={ZONE: "eu-9"})),
        "PodCannotBeScheduled",
        ("didn't match Pod's node affinity/selector",),
        ("make a node that the pod can run on",),
    ),
    "the only node takes no pods": Situation(
        (claim(), DELAYED, driver(), node() | {"spec": {"unschedulable": True}}, pod()),
        "PodCannotBeScheduled",
        ("1 node(s) were unschedulable",),
        ("let node n1 take pods again: kubectl uncordon n1",),
        cured=True,
    ),
}
