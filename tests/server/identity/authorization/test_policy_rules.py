"""Rules as values: what each allows, its pieces, how it is shown, and the words of a refusal."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.errors import ApiError
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authentication import MASTERS
from pvbinder.server.identity.authorization import DENIED, AlwaysAllow, Decision, decide, permit, refused
from pvbinder.server.identity.authorization.rules import (
    RULES_MISSING_MAX,
    STEPS_MAX,
    PolicyRule,
    TooManyRightsError,
    lacking,
    parse_rules,
)
from pvbinder.server.objects.kind import Json
from pvbinder.server.requests import UserInfo

ANA = UserInfo("ana", groups=("devs",))


def rule(verbs: str, groups: str = "core", resources: str = "pods", names: str = "", paths: str = "") -> PolicyRule:
    """A rule of words; the core group is written ``core``."""
    return PolicyRule(
        frozenset(verbs.split()),
        frozenset("" if group == "core" else group for group in groups.split()),
        frozenset(resources.split()),
        frozenset(names.split()),
        tuple(paths.split()),
    )


def of_path(verbs: str, paths: str) -> PolicyRule:
    return rule(verbs, "", "", paths=paths)


def asked(verb: str, group: str = "", resource: str = "pods", name: str = "", sub: str = "", **more: Any) -> Attributes:
    return Attributes(verb, "", True, group, "v1", resource, name=name, subresource=sub, **more)


ALLOWS: dict[str, tuple[PolicyRule, Attributes, bool]] = {
    "the verb": (rule("get list"), asked("list"), True),
    "another verb": (rule("get list"), asked("watch"), False),
    "every verb": (rule("*"), asked("watch"), True),
    "the group": (rule("get", "apps"), asked("get", "apps"), True),
    "another group": (rule("get", "apps"), asked("get"), False),
    "every group": (rule("get", "*"), asked("get", "apps"), True),
    "another resource": (rule("get"), asked("get", resource="nodes"), False),
    "every resource": (rule("get", resources="*"), asked("get", resource="nodes"), True),
    "every resource has subresources": (rule("get", resources="*"), asked("get", sub="log"), True),
    "the name": (rule("get", names="a b"), asked("get", name="a"), True),
    "another name": (rule("get", names="a b"), asked("get", name="c"), False),
    "no name, where one is needed": (rule("get", names="a"), asked("get"), False),
    "a name that is selected": (rule("list", names="a"), asked("list", selected_name="a"), True),
    "the subresource": (rule("get", resources="pods/log"), asked("get", sub="log"), True),
    "not its resource": (rule("get", resources="pods/log"), asked("get"), False),
    "not by its resource": (rule("get"), asked("get", sub="log"), False),
    "the subresource of everything": (rule("get", resources="*/log"), asked("get", sub="log"), True),
    "another subresource of everything": (rule("get", resources="*/log"), asked("get", sub="exec"), False),
    "a path": (of_path("get", "/a /b"), Attributes("get", "/b"), True),
    "another path": (of_path("get", "/a"), Attributes("get", "/ab"), False),
    "a path with another verb": (of_path("get", "/a"), Attributes("put", "/a"), False),
    "a path below": (of_path("get", "/a/*"), Attributes("get", "/a/b"), True),
    "a path that begins so": (of_path("get", "/a*"), Attributes("get", "/ab"), True),
    "a path above": (of_path("get", "/a/*"), Attributes("get", "/a"), False),
    "a path whose last letter is like a pattern's": (of_path("get", "/X*"), Attributes("get", "/Y"), False),
    "every path": (of_path("get", "*"), Attributes("get", "/a"), True),
    "a path, by a rule of resources": (rule("*", "*", "*"), Attributes("get", "/a"), False),
    "a resource, by a rule of paths": (of_path("*", "*"), asked("get"), False),
}


@pytest.mark.parametrize(("own", "attributes", "is_so"), ALLOWS.values(), ids=ALLOWS.keys())
def test_rbac_2_what_a_rule_allows(own: PolicyRule, attributes: Attributes, is_so: bool) -> None:
    assert own.allows(attributes) is is_so


def test_a_rule_is_read_and_shown() -> None:
    read: Json = {
        "verbs": ["list", "get"],
        "apiGroups": ["b", ""],
        "resources": ["y", "x"],
        "resourceNames": ["n", "m"],
    }

    assert PolicyRule.parse(read) == rule("get list", "core b", "x y", "m n")
    assert PolicyRule.parse(read).shown() == {
        "verbs": ["get", "list"],
        "apiGroups": ["", "b"],
        "resources": ["x", "y"],
        "resourceNames": ["m", "n"],
    }
    assert rule("get").shown() == {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
    assert PolicyRule.parse({"verbs": ["get"], "nonResourceURLs": ["/b", "/a"]}) == of_path("get", "/b /a")
    assert of_path("put get", "/b /a").shown() == {"verbs": ["get", "put"], "nonResourceURLs": ["/b", "/a"]}
    assert PolicyRule.parse({"verbs": None}) == rule("", "", "")
    many = [f"n{number}" for number in range(9)]
    assert PolicyRule.parse({"resourceNames": many}).names == frozenset(many)
    assert parse_rules([read, {"verbs": ["*"]}, read]) == (PolicyRule.parse(read), rule("*", "", ""))
    assert parse_rules(None) == ()


def test_the_pieces_of_a_rule() -> None:
    both = PolicyRule(frozenset({"get"}), frozenset({"g"}), frozenset({"r", "r/s"}), frozenset({"n"}), ("/p",))

    def key(one: Attributes) -> tuple[str, str]:
        return one.path, one.subresource

    assert sorted(both.atoms(), key=key) == [
        Attributes("get", "", True, "g", "", "r", name="n"),
        Attributes("get", "", True, "g", "", "r", name="n", subresource="s"),
        Attributes("get", "/p"),
    ]
    assert list(rule("get").atoms()) == [Attributes("get", "", True, "", "", "pods")]


def pieces(missing: list[Attributes]) -> set[tuple[str, ...]]:
    return {
        tuple(filter(None, (one.verb, one.path, one.group, one.resource, one.subresource, one.name))) for one in missing
    }


LACKS: dict[str, tuple[list[PolicyRule], PolicyRule, set[tuple[str, ...]]]] = {  # held, given: what is lacking
    "nothing of it": ([rule("get list", "core a", "x y")], rule("get", "a", "x"), set()),
    "all of it": ([], rule("get list", "a", "x"), {("get", "a", "x"), ("list", "a", "x")}),
    "a verb": ([rule("get", "a", "x")], rule("get list", "a", "x"), {("list", "a", "x")}),
    "a group": ([rule("get", "a", "x")], rule("get", "a b", "x"), {("get", "b", "x")}),
    "a resource": ([rule("get", "a", "x")], rule("get", "a", "x y"), {("get", "a", "y")}),
    "a name": ([rule("get", "a", "x", "n")], rule("get", "a", "x", "n m"), {("get", "a", "x", "m")}),
    "all names": ([rule("get", "a", "x", "n")], rule("get", "a", "x"), {("get", "a", "x")}),
    "nothing, every verb is held": ([rule("*", "a", "x")], rule("get *", "a", "x"), set()),
    "nothing, every group is held": ([rule("get", "*", "x")], rule("get", "a *", "x"), set()),
    "nothing, every resource is held": ([rule("get", "a", "*")], rule("get", "a", "x x/s *"), set()),
    "nothing, all names are held": ([rule("get", "a", "x")], rule("get", "a", "x", "n"), set()),
    "nothing, but only together": (
        [rule("get", "a", "x y"), rule("list", "a", "x"), rule("*", "a", "y")],
        rule("get list", "a", "x y"),
        set(),
    ),
    "every verb": ([rule("get list", "a", "x")], rule("*", "a", "x"), {("*", "a", "x")}),
    "every group of a resource": ([rule("get", "a b", "x")], rule("get", "*", "x"), {("get", "*", "x")}),
    "every resource": ([rule("get", "a", "x")], rule("get", "a", "*"), {("get", "a", "*")}),
    "a subresource": ([rule("get", "a", "x")], rule("get", "a", "x x/s"), {("get", "a", "x", "s")}),
    "one path of two": ([of_path("get", "/a")], of_path("get", "/a /b"), {("get", "/b")}),
}


@pytest.mark.parametrize(("held", "given", "missing"), LACKS.values(), ids=LACKS.keys())
def test_rbac_3_what_is_lacking(held: list[PolicyRule], given: PolicyRule, missing: set[tuple[str, ...]]) -> None:
    assert pieces(lacking(held, [given])) == missing


def test_rbac_3_an_empty_name_stands_for_all_names() -> None:
    """So it is given away by those who have all of them, and not by those whose rule has an empty name, too."""
    named = PolicyRule(frozenset({"get"}), frozenset({"a"}), frozenset({"x"}), frozenset({"", "n"}), ())

    assert pieces(lacking([named], [named])) == {("get", "a", "x")}
    assert lacking([rule("get", "a", "x")], [named]) == []


def test_rules_1_no_more_is_told_than_anybody_reads() -> None:
    many = " ".join(f"r{number}" for number in range(RULES_MISSING_MAX + 5))

    assert len(lacking([], [rule("get", "a", many)])) == RULES_MISSING_MAX


def test_rules_1_the_steps_over_pieces_are_counted() -> None:
    """A rule costs a step and one for each held; a piece a step and one for each held that has its verb."""
    held = [rule("get", "a", "x"), rule("get", "a", "y"), *(rule("list", "a", kind) for kind in "xyz")]

    def given(names: int) -> PolicyRule:
        return rule("get", "a", "x y", " ".join(f"n{number}" for number in range(names)))

    assert STEPS_MAX == 6 + 2 * 3 * 9_999
    assert lacking(held, [given(9_999)]) == []
    with pytest.raises(TooManyRightsError):
        lacking(held, [given(10_000)])


PATH = Attributes("get", "/metrics")
REFUSED: dict[str, tuple[Attributes, str, str, dict[str, str]]] = {
    "a path": (PATH, "", 'forbidden: User "ana" cannot get path "/metrics"', {}),
    "a path, and why": (PATH, "because", 'forbidden: User "ana" cannot get path "/metrics": because', {}),
    "of the cluster": (
        asked("list", resource="nodes"),
        "",
        'nodes is forbidden: User "ana" cannot list resource "nodes" in API group "" at the cluster scope',
        {"kind": "nodes"},
    ),
    "one, in a namespace, by its subresource": (
        asked("get", "apps", "deployments", "a", "scale", namespace="shop"),
        "because",
        (
            'deployments.apps "a" is forbidden: User "ana" cannot get resource "deployments/scale" in API group "apps" '
            'in the namespace "shop": because'
        ),
        {"name": "a", "group": "apps", "kind": "deployments"},
    ),
}


@pytest.mark.parametrize(("attributes", "reason", "message", "details"), REFUSED.values(), ids=REFUSED.keys())
def test_the_words_of_a_refusal(attributes: Attributes, reason: str, message: str, details: dict[str, str]) -> None:
    error = refused(ANA, attributes, Decision(False, reason))

    assert (error.code, error.reason, error.message) == (403, "Forbidden", message)
    assert error.status()["details"] == details


class Nobody(AlwaysAllow):
    """Allows nothing."""

    def authorize(self, user: UserInfo, attributes: Attributes) -> Decision:
        return DENIED


def test_masters_may_do_everything() -> None:
    master = UserInfo("root", groups=("devs", MASTERS))

    assert decide(Nobody(), master, PATH).allowed
    assert not decide(Nobody(), ANA, PATH).allowed
    assert decide(AlwaysAllow(), ANA, PATH).allowed
    permit(AlwaysAllow(), ANA, PATH)
    permit(Nobody(), master, PATH)
    with pytest.raises(ApiError, match="cannot get path"):
        permit(Nobody(), ANA, PATH)
