"""Policies asked without a server: budgets, and variables that are found out when they are needed."""

from __future__ import annotations

from typing import Any

import pytest

from pvbinder.server.kinds.cel.functions.authorizers import AccessQuestion, AuthorizerValue, Ruling
from pvbinder.server.kinds.policies.policy import CompiledPolicy
from pvbinder.server.kinds.policies.trial import Budget, Sight, TakesLongError, ask

Json = dict[str, Any]
NEW: Json = {"metadata": {"name": "m"}, "data": {"size": "3"}}


def asked(questions: list[AccessQuestion]) -> Sight:
    """What a policy sees of a new object; whoever asks about rights is noted, and may."""

    def answer(question: AccessQuestion) -> Ruling:
        questions.append(question)
        return Ruling(True, "because")

    about = AccessQuestion(group="apps", resource="deployments", namespace="shop", name="d")
    return Sight(NEW, None, {}, {}, None, None, AuthorizerValue(answer), about)


def compiled(*conditions: str, **variables: str) -> CompiledPolicy:
    spec: Json = {
        "validations": [{"expression": condition} for condition in conditions],
        "variables": [{"name": name, "expression": text} for name, text in variables.items()],
    }
    return CompiledPolicy({"metadata": {"name": "p"}, "spec": spec})


def test_trial_2_a_light_budget_ends_what_takes_long() -> None:
    policy = compiled("lists.range(1000).all(n, n >= 0)", "false")
    with pytest.raises(TakesLongError):
        ask(policy, asked([]), Budget(500))
    whole = ask(policy, asked([]), Budget())
    assert [denial.message for denial in whole.denials] == ["failed expression: false"]
    budget = Budget(100_000)
    assert ask(policy, asked([]), budget) == whole
    assert budget.light is not None
    assert 0 < budget.light < 99_000


def test_trial_2_variables_count_and_errors_too() -> None:
    light = Budget(500)
    with pytest.raises(TakesLongError):
        ask(compiled("variables.a", a="lists.range(1000).all(n, n >= 0)"), asked([]), light)
    light = Budget(1_000)
    ask(compiled("lists.range(100).all(n, n >= 0) && object.x == 1"), asked([]), light)
    assert light.light is not None
    assert light.light < 900


def test_trial_2_nobody_is_asked_in_the_loops_turn() -> None:
    questions: list[AccessQuestion] = []
    policy = compiled("authorizer.requestResource.subresource('scale').check('update').allowed()")
    with pytest.raises(TakesLongError):
        ask(policy, asked(questions), Budget(1_000_000))
    assert questions == []
    assert ask(policy, asked(questions), Budget()).denials == ()
    assert questions == [AccessQuestion("update", "", "apps", "deployments", "scale", "shop", "d")]


def test_trial_3_a_variable_is_found_out_once_and_only_where_it_is_needed() -> None:
    questions: list[AccessQuestion] = []
    once = "authorizer.path('/x').check('get').allowed()"
    policy = compiled("variables.a && variables.a", "variables.a", "true || variables.b", a=once, b=once)
    assert ask(policy, asked(questions), Budget()).denials == ()
    assert questions == [AccessQuestion("get", "/x")]


QUESTIONS = {
    "authorizer.group('apps').resource('deployments').namespace('shop').name('d').check('get').reason() == 'because'": (
        AccessQuestion("get", "", "apps", "deployments", "", "shop", "d")
    ),
    "!authorizer.group('').resource('pods').fieldSelector('c=n').labelSelector('a=b').check('list').errored()": (
        AccessQuestion("list", "", "", "pods", field_selector="c=n", label_selector="a=b")
    ),
    "authorizer.serviceAccount('shop', 'builder').path('/metrics').check('get').error() == ''": (
        AccessQuestion("get", "/metrics", account=("shop", "builder"))
    ),
}


@pytest.mark.parametrize(("source", "question"), QUESTIONS.items())
def test_what_is_asked(source: str, question: AccessQuestion) -> None:
    questions: list[AccessQuestion] = []
    assert ask(compiled(source), asked(questions), Budget()).denials == ()
    assert questions == [question]


WRONG = {
    "authorizer.group('').resource(' ').check('get').allowed()": "resource must not be empty",
    "authorizer.serviceAccount('a.b', 'c').path('/').check('get').allowed()": "Invalid service account namespace",
    "authorizer.serviceAccount('a', 'c@').path('/').check('get').allowed()": "Invalid service account name",
}


@pytest.mark.parametrize(("source", "why"), WRONG.items())
def test_what_cannot_be_asked(source: str, why: str) -> None:
    (denial,) = ask(compiled(source), asked([]), Budget()).denials
    assert denial.message == f"expression '{source}' resulted in error: {why}"
