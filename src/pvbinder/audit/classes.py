"""Findings about classes (4xx): defaults, provisioners, topologies, parameters."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Final

from msgspec import structs

from pvbinder.audit.finding import AuditSubject, Evidence, Finding, FindingLevel, of_claim, of_class
from pvbinder.audit.survey import Survey
from pvbinder.audit.users import name_of, part
from pvbinder.insight.class_secrets import UnresolvedSecret, secrets_of
from pvbinder.insight.remedies import Do, Kubectl, Remedy
from pvbinder.insight.wording import listed
from pvbinder.model.names import BETA_DEFAULT_CLASS, DEFAULT_CLASS, IN_TREE_PREFIX, NO_PROVISIONER
from pvbinder.model.objects import StorageClass
from pvbinder.model.scheduling import allowed_topologies
from pvbinder.rules.classes import default_class
from pvbinder.rules.csi.parameters import PREFIX, STRIPPED

ZONES: Final = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_SIMILAR: Final = 0.85
_ANEW: Final = Do("create the class anew with right parameters: they can't be changed")


def class_findings(survey: Survey) -> Iterator[Finding]:
    """Yield what is wrong with classes."""
    classes = sorted(survey.snapshot.storage_classes(), key=lambda each: each.name)
    yield from _defaults(classes, survey)
    for each in classes:
        yield from _provisioner(each, survey)
        yield from _immediate(each, survey)
        yield from _topologies(each, survey)
        yield from _parameters(each, survey)
        yield from _deletes(each, survey)
        yield from _unused(each, survey)
    yield from _attributes_classes(survey)


# ------------------------------------------------------------------------------------------------ defaults


def _defaults(classes: list[StorageClass], survey: Survey) -> Iterator[Finding]:
    marked = [each for each in classes if each.is_default]
    winner = default_class(marked)
    if winner is not None and len(marked) > 1:
        remedies: list[Remedy] = []
        for each in marked:
            if each.name != winner.name:
                keys = [key for key in (DEFAULT_CLASS, BETA_DEFAULT_CLASS) if each.annotations.get(key) == "true"]
                unset = tuple(f"{key}-" for key in keys)
                remedies.append(Kubectl(f"unmark {each.name}", ("annotate", "storageclass", each.name, *unset)))
        yield Finding(
            code="PVB401",
            level="warning",
            subject=of_class(winner),
            summary=f"{listed([each.name for each in marked], most=5)} are marked as default; {winner.name} is used",
            evidence=tuple(Evidence(f"{each.name} created", each.created or "unknown") for each in marked),
            rules=("DC-2",),
            way_out=tuple(remedies),
            others=tuple(of_class(each) for each in marked if each.name != winner.name),
        )
    if not marked and classes:
        yield from _no_default(classes, survey)


def _no_default(classes: list[StorageClass], survey: Survey) -> Iterator[Finding]:
    waiting = [claim for claim in survey.pending if not claim.has_class]
    templates = [
        (found, template)
        for found in survey.snapshot.stateful_sets()
        for template in found.claim_templates
        if part(template, "spec").get("storageClassName") is None
    ]
    needs = [f"claim {claim.key}" for claim in waiting]
    needs += [f"template {name_of(template)} of StatefulSet {found.key}" for found, template in templates]
    yield Finding(
        code="PVB402",
        level="warning" if waiting else "information",
        subject=AuditSubject("Cluster", "", "default class"),
        summary="no class is the default" + (f", and {listed(needs)} would need one" if needs else ""),
        evidence=(Evidence("classes", listed([each.name for each in classes], most=5)),),
        rules=("DC-2",),
        way_out=(Do(f"mark one: kubectl annotate storageclass {classes[0].name} {DEFAULT_CLASS}=true"),),
        others=tuple(of_claim(claim) for claim in waiting[:10]),
    )


# ------------------------------------------------------------------------------------------------ the provisioner


def _provisioner(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    name = storage_class.provisioner
    snapshot = survey.snapshot
    if name == NO_PROVISIONER or not name:
        return
    driver = snapshot.settings.migrations.driver_of(name)
    plugin = snapshot.plugins.named(name)
    if driver is None and plugin is not None and plugin.can_provision:
        return
    if driver is None and name.startswith(IN_TREE_PREFIX):
        found = "is no plugin of this Kubernetes, and no driver stands in for it"
        yield _unknown(storage_class, "error", found, "", survey)
        return
    served = driver or name
    if not snapshot.knows("CSIDriver") or snapshot.driver(served) is not None:
        yield from _on_no_node(storage_class, served, survey)
        return
    drivers = sorted(each for each in survey.drivers if each != served)
    near = next(iter(difflib.get_close_matches(served, drivers, n=1, cutoff=_SIMILAR)), "")
    has_made = served in survey.provisioners
    is_csi = driver is not None or "csi" in served
    level: FindingLevel = "error" if (is_csi or near) and not has_made else "information"
    yield _unknown(storage_class, level, f"there is no CSIDriver {served}", near, survey)


def _on_no_node(storage_class: StorageClass, driver: str, survey: Survey) -> Iterator[Finding]:
    nodes = [(node, survey.snapshot.drivers_on(node.name)) for node in survey.nodes]
    known = [(node, found) for node, found in nodes if found is not None]
    if not known or not any(found for _, found in known) or any(driver in found for _, found in known if found):
        return
    if driver in survey.provisioners or not survey.snapshot.knows("CSIDriver"):
        return
    yield _unknown(
        storage_class, "warning", f"CSIDriver {driver} is registered, and runs on none of the nodes", "", survey
    )


def _unknown(storage_class: StorageClass, level: FindingLevel, found: str, near: str, survey: Survey) -> Finding:
    meant = f" (did you mean {near}?)" if near else ""
    waiting = [claim for claim in survey.pending if claim.storage_class == storage_class.name]
    return Finding(
        code="PVB403",
        level=level,
        subject=of_class(storage_class),
        summary=f"nobody is known to serve its provisioner {storage_class.provisioner}: {found}{meant}",
        evidence=(
            Evidence("provisioner", storage_class.provisioner, near),
            Evidence("claims waiting", str(len(waiting))),
        ),
        rules=("PR-4",),
        way_out=(
            Do(f"create the class anew with provisioner {near}" if near else f"install {storage_class.provisioner}"),
        ),
        others=tuple(of_claim(claim) for claim in waiting[:10]),
    )


# ------------------------------------------------------------------------------------------------ topology


def _immediate(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    if storage_class.volume_binding_mode != "Immediate" or len(survey.nodes) < 2:
        return
    places = survey.places_of_class.get(storage_class.name, {})
    tied = {key: values for key, values in places.items() if len({node.labels.get(key) for node in survey.nodes}) > 1}
    terms = allowed_topologies(storage_class)
    for term in terms:
        for one in term.match_label_expressions or ():
            if len(one.values) > 1 and len({node.labels.get(one.key) for node in survey.nodes}) > 1:
                tied.setdefault(one.key, set()).update(one.values)
    if not tied:
        return
    key, values = next(iter(sorted(tied.items())))
    yield Finding(
        code="PVB404",
        level="warning",
        subject=of_class(storage_class),
        summary=f"it binds at once, and its volumes are tied to {key}: pods may not be able to run where they are",
        evidence=(
            Evidence("volumeBindingMode", "Immediate", "WaitForFirstConsumer"),
            Evidence(f"values of {key}", listed(sorted(values), most=5)),
        ),
        rules=("SC-U5", "DB-4"),
        way_out=(Do("create a class with volumeBindingMode WaitForFirstConsumer for new claims: it can't be changed"),),
    )


def _topologies(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    terms = allowed_topologies(storage_class)
    if not terms or not survey.nodes or any(term.matches(node.labels) for term in terms for node in survey.nodes):
        return
    wanted = " or ".join(
        " and ".join(f"{one.key} in ({', '.join(one.values)})" for one in term.match_label_expressions or ())
        for term in terms
    )
    keys = sorted({one.key for term in terms for one in term.match_label_expressions or ()})
    has = {key: sorted({node.labels[key] for node in survey.nodes if key in node.labels}) for key in keys}
    yield Finding(
        code="PVB405",
        level="warning",
        subject=of_class(storage_class),
        summary=f"no node satisfies its allowedTopologies: {wanted}",
        evidence=tuple(
            Evidence(f"values of {key} on nodes", listed(values, most=5) or "none") for key, values in has.items()
        ),
        rules=("DB-4",),
        way_out=(Do("create the class anew with topologies that nodes have, or label the nodes"),),
    )


# ------------------------------------------------------------------------------------------------ parameters


def _parameters(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    for key in sorted(storage_class.parameters):
        if key.startswith(PREFIX) and key not in STRIPPED:
            near = next(iter(difflib.get_close_matches(key, sorted(STRIPPED), n=1, cutoff=0.6)), "")
            meant = f" (did you mean {near}?)" if near else ""
            yield _refused(
                storage_class, f"parameter {key} is unknown{meant}", Evidence("parameter", key, near), "CP-17", key
            )
    for key, value in sorted(storage_class.parameters.items()):
        if not key.startswith(PREFIX) or not key.endswith("secret-name"):
            continue
        other = key.removesuffix("name") + "namespace"
        namespace = storage_class.parameters.get(other)
        if namespace is None:
            yield _refused(storage_class, f"{key} stands without {other}", Evidence(key, value), "SE-3", other)
    for key in sorted(storage_class.parameters):
        if key.startswith(PREFIX) and key.endswith("secret-namespace"):
            other = key.removesuffix("namespace") + "name"
            if other not in storage_class.parameters:
                yield _refused(storage_class, f"{key} stands without {other}", Evidence(key, "alone"), "SE-3", other)
    yield from _secrets(storage_class, survey)


def _secrets(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    """What the class says of secrets that can't be, or of some that aren't there."""
    waiting = (each for each in survey.pending if each.storage_class == storage_class.name)
    for one in secrets_of(storage_class, waiting):
        whose = f" for claim {one.claim}" if one.claim else ""
        about = f"{one.key} {one.claim}".rstrip()
        said = Evidence(one.key, storage_class.parameters[one.key])
        if isinstance(one, UnresolvedSecret):
            yield _refused(storage_class, f"{one.key} names no secret{whose}: {one.problem}", said, "SE-4", about)
        elif survey.secrets is not None and (one.secret.namespace, one.secret.name) not in survey.secrets:
            name = f"{one.secret.namespace}/{one.secret.name}"
            remedy = Do(f"create secret {one.secret.name} in namespace {one.secret.namespace}")
            evidence = structs.replace(said, wanted=f"secret {name}")
            yield _refused(storage_class, f"secret {name}{whose} doesn't exist", evidence, "SE-6", about, remedy)


def _refused(
    storage_class: StorageClass, summary: str, evidence: Evidence, rule: str, about: str, way_out: Remedy = _ANEW
) -> Finding:
    return Finding(
        code="PVB408",
        level="error",
        subject=of_class(storage_class),
        summary=summary,
        evidence=(evidence,),
        rules=(rule,),
        way_out=(way_out,),
        about=about,
    )


# ------------------------------------------------------------------------------------------------ its users


def _deletes(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    if (storage_class.reclaim_policy or "Delete") != "Delete":
        return
    default = default_class(survey.snapshot.storage_classes())
    for found in survey.snapshot.stateful_sets():
        if found.retain_when_deleted and found.retain_when_scaled:
            continue
        for template in found.claim_templates:
            name = part(template, "spec").get("storageClassName")
            if name is None and default is not None:
                name = default.name
            if name == storage_class.name:
                when = "whenDeleted" if not found.retain_when_deleted else "whenScaled"
                subject = AuditSubject("StatefulSet", found.namespace, found.name)
                yield Finding(
                    code="PVB406",
                    level="warning",
                    subject=of_class(storage_class),
                    summary=f"its policy is Delete, and StatefulSet {found.key} deletes its claims ({when}: Delete)",
                    evidence=(
                        Evidence("reclaimPolicy", "Delete", "Retain"),
                        Evidence(f"persistentVolumeClaimRetentionPolicy.{when}", "Delete", "Retain"),
                    ),
                    rules=("RC-4",),
                    way_out=(Do(f"set {when} of StatefulSet {found.key} to Retain, or use a class that retains"),),
                    others=(subject,),
                    about=found.key,
                )
                break


def _unused(storage_class: StorageClass, survey: Survey) -> Iterator[Finding]:
    if storage_class.is_default or not survey.snapshot.knows("PersistentVolumeClaim"):
        return
    if storage_class.name in survey.classes_named:
        return
    yield Finding(
        code="PVB407",
        level="information",
        subject=of_class(storage_class),
        summary="no claim, volume or template names it, and it isn't the default",
        evidence=(Evidence("provisioner", storage_class.provisioner),),
    )


def _attributes_classes(survey: Survey) -> Iterator[Finding]:
    if not survey.snapshot.knows("CSIDriver"):
        return
    for each in sorted(survey.snapshot.attributes_classes(), key=lambda one: one.name):
        if survey.snapshot.driver(each.driver_name) is None:
            near = next(
                iter(difflib.get_close_matches(each.driver_name, sorted(survey.drivers), n=1, cutoff=_SIMILAR)), ""
            )
            meant = f" (did you mean {near}?)" if near else ""
            yield Finding(
                code="PVB409",
                level="warning",
                subject=AuditSubject("VolumeAttributesClass", "", each.name),
                summary=f"there is no CSIDriver {each.driver_name}{meant}",
                evidence=(Evidence("driverName", each.driver_name, near),),
                rules=("CP-8",),
                way_out=(Do("create it anew with the name of a driver that is installed"),),
            )
