"""What claims, templates and classes of devices are by default, and what they refuse, in the reference's words."""

from __future__ import annotations

from typing import Any

import pytest
from tests.server.kinds.writes import change_refusals, merged, new, refusals, stored

from pvbinder.server.kinds.registry import Registry
from pvbinder.server.objects.kind import Json, ServedKind


def kind_of(plural: str) -> ServedKind:
    return next(kind for kind in Registry() if kind.resource.plural == plural)


CLAIM, TEMPLATE, CLASS = kind_of("resourceclaims"), kind_of("resourceclaimtemplates"), kind_of("deviceclasses")
GPU = {"name": "gpu", "exactly": {"deviceClassName": "gpus"}}
SEVERAL = {"name": "any", "firstAvailable": [{"name": "big", "deviceClassName": "gpus"}]}


def claim(*requests: Json, **devices: Any) -> Json:
    return {"devices": {"requests": list(requests or (GPU,)), **devices}}


def exactly(**fields: Any) -> Json:
    return claim(merged(GPU, {"exactly": fields}))


def configured(**opaque: Any) -> Json:
    return claim(config=[{"opaque": {"driver": "d.example.com", "parameters": {"a": 1}, **opaque}}])


AT = "spec.devices.requests[0]"
ONE_OF_BOTH = "exactly one of `exactly` or `firstAvailable` is required"
NO_REQUEST = "must be the name of a request in the claim or the name of a request and a subrequest separated by '/'"
CLAIMS: dict[str, tuple[Json, list[str]]] = {
    "one device": (claim(), []),
    "one of several, and both of one kind": (
        claim(GPU, SEVERAL, constraints=[{"requests": ["gpu", "any/big"], "matchAttribute": "d.example.com/model"}]),
        [],
    ),
    "a configuration": (configured(), []),
    "nothing of a request": (claim({"name": "a"}), [f"{AT}: Required value: {ONE_OF_BOTH}"]),
    "both of a request": (
        claim({**GPU, "firstAvailable": SEVERAL["firstAvailable"]}),
        [f"{AT}: Invalid value: null: {ONE_OF_BOTH}, but multiple fields are set"],
    ),
    "the same request twice": (claim(GPU, GPU), ['spec.devices.requests[1]: Duplicate value: "gpu"']),
    "too many requests": (
        claim(*({**GPU, "name": f"r{index}"} for index in range(33))),
        ["spec.devices.requests: Too many: 33: must have at most 32 items"],
    ),
    "a request of no class, by dots": (
        claim({"name": "a.b", "exactly": {}}),
        [
            f'{AT}.name: Invalid value: "a.b": must not contain dots',
            f"{AT}.exactly.deviceClassName: Required value",
        ],
    ),
    "all and so many": (
        exactly(allocationMode="All", count=2),
        [f"{AT}.exactly.count: Invalid value: 2: must not be specified when allocationMode is 'All'"],
    ),
    "fewer than none, and somehow": (
        claim(
            merged(GPU, {"exactly": {"count": -1}}),
            merged(GPU, {"name": "b", "exactly": {"allocationMode": "Some"}}),
        ),
        [
            f"{AT}.exactly.count: Invalid value: -1: must be greater than zero",
            (
                'spec.devices.requests[1].exactly.allocationMode: Unsupported value: "Some": '
                'supported values: "All", "ExactCount"'
            ),
        ],
    ),
    "selectors that say nothing or too much": (
        exactly(selectors=[{}, {"cel": {"expression": "x" * 10_241}}]),
        [
            f"{AT}.exactly.selectors[0].cel: Required value",
            f"{AT}.exactly.selectors[1].cel.expression: Too long: may not be more than 10240 bytes",
        ],
    ),
    "tolerations": (
        exactly(tolerations=[{"operator": "Exists", "value": "a"}, {}, {"operator": "Near", "effect": "Odd"}]),
        [
            f'{AT}.exactly.tolerations[0].value: Invalid value: "a": must be empty for operator `Exists`',
            f"{AT}.exactly.tolerations[1].operator: Required value",
            (
                f'{AT}.exactly.tolerations[2].operator: Unsupported value: "Near": '
                'supported values: "Equal", "Exists"'
            ),
            (
                f'{AT}.exactly.tolerations[2].effect: Unsupported value: "Odd": '
                'supported values: "NoExecute", "NoSchedule", "None"'
            ),
        ],
    ),
    "constraints about what isn't asked for": (
        claim(constraints=[{"requests": ["b", "gpu/c", "a/b/c"], "matchAttribute": "model"}, {}]),
        [
            *(
                f'spec.devices.constraints[0].requests[{index}]: Invalid value: "{name}": {NO_REQUEST}'
                for index, name in enumerate(("b", "gpu/c", "a/b/c"))
            ),
            (
                'spec.devices.constraints[0].matchAttribute: Invalid value: "model": '
                "a fully qualified name must be a domain and a name separated by a slash"
            ),
            (
                'spec.devices.constraints[1]: Required value: exactly one of "matchAttribute" or "distinctAttribute" '
                "is required, but multiple fields are set"
            ),
        ],
    ),
    "configurations that can't be": (
        configured(driver="", parameters=[1]),
        [
            "spec.devices.config[0].opaque.driver: Required value",
            'spec.devices.config[0].opaque.parameters: Invalid value: "<value omitted>": must be a valid JSON object',
        ],
    ),
    "a configuration of nothing": (
        claim(config=[{}]),
        ["spec.devices.config[0].opaque: Required value"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("spec", "errors"), CLAIMS.values(), ids=CLAIMS.keys())
def test_claims(spec: Json, errors: list[str]) -> None:
    assert refusals(CLAIM, new(spec=spec)) == errors
    of_template = [error.replace("spec.", "spec.spec.", 1) for error in errors]
    assert refusals(TEMPLATE, new(spec={"spec": spec})) == of_template


def test_a_request_is_for_one_device() -> None:
    made = stored(CLAIM, new(spec=claim(GPU, SEVERAL)))["spec"]["devices"]["requests"]
    assert made[0]["exactly"] == {"deviceClassName": "gpus", "allocationMode": "ExactCount", "count": 1}
    assert made[1]["firstAvailable"][0]["count"] == 1
    everything = stored(CLAIM, new(spec=exactly(allocationMode="All")))["spec"]["devices"]["requests"][0]
    assert "count" not in everything["exactly"]


def test_what_was_asked_for_stays() -> None:
    made = stored(CLAIM, new(spec=claim()))
    assert change_refusals(CLAIM, made, {"metadata": {"labels": {"a": "b"}}}) == []
    assert change_refusals(CLAIM, made, {"spec": {"devices": {"requests": []}}}) == [
        'spec: Invalid value: {"Devices":{"Requests":[],"Constraints":null,"Config":null}}: field is immutable'
    ]
    template = stored(TEMPLATE, new(spec={"spec": claim()}))
    (error,) = change_refusals(TEMPLATE, template, {"spec": {"metadata": {"labels": {"a": "b"}}}})
    assert error.endswith("field is immutable")


def test_labels_of_templates() -> None:
    (error,) = refusals(TEMPLATE, new(spec={"metadata": {"labels": {"-": "b"}}, "spec": claim()}))
    assert error.startswith('spec.metadata.labels: Invalid value: "-"')


def test_classes() -> None:
    right = {"selectors": [{"cel": {"expression": "true"}}], "extendedResourceName": "example.com/gpu"}
    assert refusals(CLASS, new(spec=right)) == []
    assert refusals(CLASS, new(spec={"selectors": [{}], "config": [{}], "extendedResourceName": "gpu"})) == [
        "spec.selectors[0].cel: Required value",
        "spec.config[0].opaque: Required value",
        'spec.extendedResourceName: Invalid value: "gpu": must be a valid extended resource name',
    ]
