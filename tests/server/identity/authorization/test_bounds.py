"""The cost of roles for requests: rights are counted, parsed rules are kept, and reviews are bounded."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.server.identity.authorization.test_escalation import RBAC, allow
from tests.server.identity.authorization.test_rbac import ANA, GROUP, USER, binding, make, role, rule
from tests.server.serving import MAPS, Reply, Serving, reply_of, serving
from tests.server.watchdog import Watchdog, watchdog  # noqa: F401  (a fixture)

from pvbinder.server.identity.authorization import RULES_SHOWN_MAX, rbac
from pvbinder.server.identity.authorization.rules import (
    RULES_MISSING_MAX,
    STEPS_MAX,
    PolicyRule,
    TooManyRightsError,
    lacking,
    parse_rules,
)
from pvbinder.server.requests import UserInfo

MANY = [f"x{number}" for number in range(300)]
FEW = [f"y{number}" for number in range(60)]
RULES_REVIEW = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"


def product(
    verbs: list[str], groups: list[str], resources: list[str], names: list[str] | None = None
) -> dict[str, Any]:
    return {"verbs": verbs, "apiGroups": groups, "resources": resources, "resourceNames": names or []}


def many_rules(count: int, prefix: str = "r") -> list[dict[str, Any]]:
    return [{"verbs": ["get"], "apiGroups": ["a"], "resources": [f"{prefix}{number}"]} for number in range(count)]


async def ask(server: Serving, dog: Watchdog, *arguments: Any, user: UserInfo = ANA) -> Reply:
    """Make a request as its own task, of which no turn may take long."""
    dog.reset()
    answer = await asyncio.create_task(server.answer(*arguments, user=user))
    dog.check()
    return reply_of(answer)


ROLES_OF_HERS = {
    "rights that she lacks": (product(MANY, MANY, MANY), 403),
    "by name": (product(MANY, ["a"], ["b"], MANY), 403),
    "rights that she has, as they stand": (product(MANY[:100], MANY[:100], ["pods"]), 201),
    "rights that she has in pieces": (product([*MANY, "get"], MANY, [*FEW, "pods"]), 403),
    "paths": ({"verbs": MANY, "nonResourceURLs": [f"/{name}" for name in MANY]}, 403),
}


@pytest.mark.parametrize("name", ROLES_OF_HERS)
async def test_rules_1_a_rule_that_stands_for_millions_of_rights_holds_nobody_up(
    tmp_path: Path,
    name: str,
    watchdog: Watchdog,  # noqa: F811
) -> None:
    sent, status = ROLES_OF_HERS[name]
    async with serving(tmp_path, rbac=True) as server:
        await allow(server, "writes", rule("clusterroles", "create", group=RBAC))
        await allow(server, "has", product(MANY, MANY, ["pods"]), product(MANY, MANY, FEW), rule("pods", "get"))
        answer = await ask(server, watchdog, "POST", f"{GROUP}/clusterroles", role("huge", sent))
        assert answer.status == status
        assert status == 201 or answer.message.count("{APIGroups") <= RULES_MISSING_MAX


async def test_rules_1_many_rules_that_she_lacks_hold_nobody_up(tmp_path: Path, watchdog: Watchdog) -> None:  # noqa: F811
    async with serving(tmp_path, rbac=True) as server:
        await allow(server, "writes", rule("clusterroles clusterrolebindings", "create", group=RBAC))
        await make(server, "clusterroles", role("large", *many_rules(10_000)))
        answer = await ask(server, watchdog, "POST", f"{GROUP}/clusterroles", role("hers", *many_rules(10_000)))
        assert answer.status == 403
        bound = binding("hers", "ClusterRole", "large", USER)
        answer = await ask(server, watchdog, "POST", f"{GROUP}/clusterrolebindings", bound)
        assert answer.status == 403


@pytest.mark.slow
async def test_rbac_1_a_change_costs_no_reading_of_what_has_not_changed(tmp_path: Path, watchdog: Watchdog) -> None:  # noqa: F811
    async with serving(tmp_path, rbac=True) as server:
        for number in range(5):
            await make(server, "clusterroles", role(f"large{number}", *many_rules(10_000, f"r{number}-")))
        await make(server, "clusterrolebindings", binding("a", "ClusterRole", "large0", USER))
        assert (await ask(server, watchdog, "GET", MAPS)).status == 403
        await make(server, "clusterroles", role("reads", rule("configmaps", "list")))
        await make(server, "clusterrolebindings", binding("b", "ClusterRole", "reads", USER))
        assert (await ask(server, watchdog, "GET", MAPS)).status == 200


async def test_rbac_1_a_role_that_no_binding_names_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []

    def noted(rules: Any) -> Any:
        read.append(rules)
        return parse_rules(rules)

    monkeypatch.setattr(rbac, "parse_rules", noted)
    async with serving(tmp_path, rbac=True) as server:
        await make(server, "clusterroles", role("large", *many_rules(3)))
        assert (await server.send("GET", MAPS, user=ANA)).status == 403
        assert many_rules(3) not in read
        await make(server, "clusterrolebindings", binding("a", "ClusterRole", "large", USER))
        assert (await server.send("GET", MAPS, user=ANA)).status == 403
        assert many_rules(3) in read


def test_rules_1_no_more_rules_are_read_than_the_answer_needs() -> None:
    given = iter(parse_rules(many_rules(RULES_MISSING_MAX + 10)))
    assert len(lacking((), given)) == RULES_MISSING_MAX
    assert len(list(given)) == 10


async def test_a_review_of_very_many_rules_says_that_there_are_more(tmp_path: Path, watchdog: Watchdog) -> None:  # noqa: F811
    async with serving(tmp_path, rbac=True) as server:
        await allow(server, "asks", rule("selfsubjectrulesreviews", "create", group="authorization.k8s.io"))
        for number in range(3):
            await allow(server, f"large{number}", *many_rules(8_000, f"r{number}-"))
            await server.send("GET", MAPS, user=ANA)
        status = (await ask(server, watchdog, "POST", RULES_REVIEW, {"spec": {"namespace": "shop"}})).body["status"]
        assert status["incomplete"] is True
        assert "evaluationError" in status
        assert len(status["resourceRules"]) == RULES_SHOWN_MAX + 1


def test_what_covers_a_rule_only_together_with_others_covers_it() -> None:
    mine = [PolicyRule.parse(product(["get"], ["a"], ["x"])), PolicyRule.parse(product(["list"], ["a"], ["x", "y"]))]
    assert not lacking(mine, [PolicyRule.parse(product(["get", "list"], ["a"], ["x"]))])
    missing = lacking(mine, [PolicyRule.parse(product(["get", "list"], ["a"], ["x", "y"]))])
    assert [(atom.verb, atom.resource) for atom in missing] == [("get", "y")]
    assert lacking(
        [PolicyRule.parse(product(["get"], ["a"], ["x"], ["n"]))], [PolicyRule.parse(product(["get"], ["a"], ["x"]))]
    )


def test_rules_1_what_takes_too_many_steps_is_not_found_out() -> None:
    wide = product(MANY, MANY, ["x"])
    mine = [PolicyRule.parse(wide), PolicyRule.parse(product(MANY, MANY, ["y"]))]
    assert not lacking(mine, [PolicyRule.parse(wide)])
    assert len(MANY) ** 2 * 2 > STEPS_MAX
    with pytest.raises(TooManyRightsError):
        lacking(mine, [PolicyRule.parse(product(MANY, MANY, ["x", "y"]))])
