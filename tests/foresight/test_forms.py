"""A plan as JUnit and SARIF."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from tests.foresight.worlds import claim, node, plan, storage_class, volume

from pvbinder.audit.finding import AuditSubject
from pvbinder.audit.places import SourcePlace
from pvbinder.foresight.forms import as_junit, as_sarif, problems
from pvbinder.foresight.plan import ManifestPlan

SHOP = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}


def with_problems() -> ManifestPlan:
    kept = claim("kept", storage_class="fast")
    world = [volume("disk-7", "10Gi"), storage_class(), node("w1"), SHOP, kept]
    broken = claim("broken")
    broken["spec"]["accessModes"] = ["Sideways"]
    return plan(world, claim("small"), claim("huge", "1Ti"), broken, claim("kept", storage_class="slow"))


def test_plan_forms_1_what_makes_the_answer_a_no_is_in_both() -> None:
    answer = with_problems()
    assert not answer.is_well
    assert {(one.kind, one.object.rpartition("/")[2]) for one in problems(answer)} >= {
        ("Refused", "broken"),
        ("NoStorage", "huge"),
    }
    well = plan([volume("disk-7", "10Gi"), SHOP], claim("small"))
    assert well.is_well
    assert problems(well) == ()
    assert ElementTree.fromstring(as_junit(well)).find(".//failure") is None
    assert json.loads(as_sarif(well, {}, "1"))["runs"][0]["results"] == []


def test_plan_forms_2_junit_has_a_case_for_each_object_and_claim() -> None:
    suite = ElementTree.fromstring(as_junit(with_problems())).find("testsuite")
    assert suite is not None
    failed = {case.get("name"): case.findall("failure") for case in suite}
    assert not failed["PersistentVolumeClaim shop/small"]
    assert "Sideways" in (failed["PersistentVolumeClaim shop/broken"][0].text or "")
    assert failed["PersistentVolumeClaim shop/huge"]
    assert int(suite.get("failures", "0")) == sum(map(bool, failed.values()))
    assert int(suite.get("tests", "0")) == len(failed)


def test_plan_forms_2_sarif_has_a_result_for_each_problem_with_its_line() -> None:
    answer = with_problems()
    place = {AuditSubject("PersistentVolumeClaim", "shop", "huge"): SourcePlace("new.yaml", 7)}
    run = json.loads(as_sarif(answer, place, "1.2"))["runs"][0]
    assert run["tool"]["driver"]["version"] == "1.2"
    assert len(run["results"]) == len(problems(answer))
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    located = [one for one in run["results"] if "physicalLocation" in one["locations"][0]]
    assert [one["ruleId"] for one in located] == ["plan/NoStorage"]
    where = located[0]["locations"][0]["physicalLocation"]
    assert where == {"artifactLocation": {"uri": "new.yaml"}, "region": {"startLine": 7}}
