"""The rules of MutatingAdmissionPolicies and their bindings: they are stored and checked, and change nothing.

Their conditions and variables are compiled; their mutations aren't, for nobody makes them.
"""

from __future__ import annotations

from typing import Final

from pvbinder.server.errors import FieldError, invalid, required, unsupported
from pvbinder.server.kinds.built_in.admission_expressions import (
    validate_bound,
    validate_conditions_of_policy,
    validate_scope_of_policy,
    validate_variable,
)
from pvbinder.server.kinds.policies.policy import Composer
from pvbinder.server.kinds.validation.admission_rules import validate_choice
from pvbinder.server.objects.kind import Json

_OPERATIONS: Final = ("*", "CONNECT", "CREATE", "UPDATE")
_PATCHES: Final = ("ApplyConfiguration", "JSONPatch")
_FIELDS: Final = {"JSONPatch": "jsonPatch", "ApplyConfiguration": "applyConfiguration"}


def validate_mutating_policy(policy: Json, old: Json | None = None) -> list[FieldError]:
    """Check a policy that changes objects."""
    spec: Json = policy.get("spec") or {}
    errors = validate_scope_of_policy(spec)
    errors += _validate_operations(spec.get("matchConstraints") or {}, "spec.matchConstraints")
    errors += validate_conditions_of_policy(spec, old)
    composer = Composer(has_params=spec.get("paramKind") is not None, has_variables=True)
    for index, variable in enumerate(spec.get("variables") or ()):
        errors += validate_variable(composer, variable, f"spec.variables[{index}]")
    mutations: list[Json] = spec.get("mutations") or []
    if not mutations:
        errors.append(required("spec.mutations", "mutations must contain at least one item"))
    for index, mutation in enumerate(mutations):
        errors += _validate_mutation(mutation, f"spec.mutations[{index}]")
    return errors + validate_choice(
        spec.get("reinvocationPolicy") or None, "spec.reinvocationPolicy", ("IfNeeded", "Never")
    )


def validate_mutating_policy_update(new: Json, old: Json) -> list[FieldError]:
    """Check a changed policy."""
    return validate_mutating_policy(new, old)


def validate_mutating_binding(binding: Json) -> list[FieldError]:
    """Check what a policy that changes objects is bound to."""
    spec: Json = binding.get("spec") or {}
    return validate_bound(spec) + _validate_operations(spec.get("matchResources") or {}, "spec.matchResources")


def validate_mutating_binding_update(new: Json, _old: Json) -> list[FieldError]:
    """Check a changed binding like a new one."""
    return validate_mutating_binding(new)


def _validate_operations(match: Json, path: str) -> list[FieldError]:
    """Check that nothing is to be changed while it is deleted."""
    return [
        unsupported(f"{path}.resourceRules.operations", operation, _OPERATIONS)
        for rule in match.get("resourceRules") or ()
        for operation in rule.get("operations") or ()
        if operation not in _OPERATIONS
    ]


def _validate_mutation(mutation: Json, path: str) -> list[FieldError]:
    kind = mutation.get("patchType") or None
    if kind is None or kind not in _PATCHES:
        return validate_choice(kind, f"{path}.patchType", _PATCHES)
    field, patch = _FIELDS[kind], mutation.get(_FIELDS[kind])
    errors: list[FieldError] = []
    if patch is None:
        errors.append(required(f"{path}.{field}", f"must be specified when patchType is {kind}"))
    elif not (patch.get("expression") or "").strip():
        errors.append(required(f"{path}.{field}.expression"))
    return errors + [
        invalid(f"{path}.{other}", f"{{{other}}}", f"must not be specified when patchType is {kind}")
        for other in _FIELDS.values()
        if other != field and mutation.get(other) is not None
    ]
