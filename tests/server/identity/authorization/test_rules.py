"""Rules compared with rules, one by one: their coverage, and the bound of the comparison."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.server.identity.authorization.test_escalation import GATHERS, ROLES, as_writer, is_refused
from tests.server.identity.authorization.test_rbac import ANA, make, role, rule
from tests.server.serving import serving

from pvbinder.server.identity.authorization import AlwaysAllow, rules
from pvbinder.server.identity.authorization.rules import STEPS_MAX, TooManyRightsError, lacking, parse_rules


def paths(*verbs: str, of: str) -> dict[str, Any]:
    return {"nonResourceURLs": [of], "verbs": list(verbs)}


COVERED: dict[str, tuple[dict[str, Any], dict[str, Any], bool]] = {  # held, given away, whether the first is enough
    "a path with its verb": (paths("get", of="/x"), paths("get", of="/x"), True),
    "a path with every verb": (paths("*", of="/x"), paths("get", "put", of="/x"), True),
    "a path with another verb": (paths("put", of="/x"), paths("get", of="/x"), False),
    "every verb of a path, with one": (paths("get", of="/x"), paths("*", of="/x"), False),
    "a path below": (paths("get", of="/x/*"), paths("get", of="/x/y"), True),
    "a pattern below a pattern": (paths("get", of="/x/*"), paths("get", of="/x/y/*"), True),
    "the same pattern": (paths("get", of="/x/*"), paths("get", of="/x/*"), True),
    "a wider pattern": (paths("get", of="/x/y/*"), paths("get", of="/x/*"), False),
    "a path beside": (paths("get", of="/x/*"), paths("get", of="/y"), False),
    "a path that begins with one without a pattern": (paths("get", of="/x"), paths("get", of="/x/y"), False),
    "every name, with one": (rule("secrets", "get", resourceNames=["a"]), rule("secrets", "get"), False),
    "a name, with all": (rule("secrets", "get"), rule("secrets", "get", resourceNames=["a"]), True),
    "every group, with one": (rule("secrets", "get"), rule("secrets", "get", group="*"), False),
    "a subresource, with its resource": (rule("pods", "get"), rule("pods/log", "get"), False),
    "a subresource, with that of everything": (rule("*/log", "get"), rule("pods/log", "get"), True),
}


@pytest.mark.parametrize(("held", "given", "enough"), COVERED.values(), ids=COVERED.keys())
def test_rbac_3_what_covers_a_rule(held: dict[str, Any], given: dict[str, Any], enough: bool) -> None:
    assert (lacking(parse_rules([held]), parse_rules([given])) == []) is enough


def test_rules_1_the_steps_over_whole_rules_are_counted() -> None:
    held = parse_rules(rule(f"r{number}", "get") for number in range(STEPS_MAX // 2 - 1))
    first, second, third = (parse_rules([rule(f"r{number}", "get")]) for number in range(3))
    assert lacking(held, first + second) == [], "as many steps as are allowed"
    with pytest.raises(TooManyRightsError):
        lacking(held, first + second + third)


async def test_rbac_4_who_has_too_many_rights_to_look_has_not_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        monkeypatch.setattr(rules, "STEPS_MAX", 1)
        assert is_refused(await server.send("POST", ROLES, {**role("sum"), "aggregationRule": GATHERS}, user=ANA))


OF_A_COLLECTOR: dict[str, dict[str, Any]] = {
    "finalizers": {"finalizers": ["a.b/c"]},
    "owners": {"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "7"}]},
}
OF_A_USER: dict[str, dict[str, Any]] = {"annotations": {"annotations": {"a": "b"}}, "labels": {"labels": {"a": "b"}}}


@pytest.mark.parametrize("changed", OF_A_COLLECTOR.values(), ids=OF_A_COLLECTOR.keys())
async def test_rbac_3_a_collector_needs_no_rights_of_a_role(tmp_path: Path, changed: dict[str, Any]) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        await make(server, "clusterroles", role("secrets", rule("secrets", "get")))
        assert (await server.send("PATCH", f"{ROLES}/secrets", {"metadata": changed}, user=ANA)).status == 200


@pytest.mark.parametrize("changed", OF_A_USER.values(), ids=OF_A_USER.keys())
async def test_rbac_3_any_other_change_of_a_role_needs_them(tmp_path: Path, changed: dict[str, Any]) -> None:
    async with serving(tmp_path, rbac=True) as server:
        await as_writer(server)
        await make(server, "clusterroles", role("secrets", rule("secrets", "get")))
        assert (await server.send("PATCH", f"{ROLES}/secrets", {"metadata": changed}, user=ANA)).status == 403


def test_who_may_do_everything_is_shown_so() -> None:
    assert AlwaysAllow().rules(ANA, "shop") == (
        [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
        [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    )
