"""The objects of `pvbinder explain`: kinds and names as kubectl takes them, ``pvc orders`` or ``pvc/orders``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pvbinder.cli.errors import WrongUsageError
from pvbinder.model.resources import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    STATEFUL_SETS,
    Resource,
)

if TYPE_CHECKING:
    from pvbinder.insight.explanation import Explanation
    from pvbinder.insight.snapshot import Snapshot

QuestionKind = Literal["pvc", "pod", "pv", "sts"]
WORDS: dict[str, QuestionKind] = {
    **dict.fromkeys(("pvc", "pvcs", "persistentvolumeclaim", "persistentvolumeclaims", "claim", "claims"), "pvc"),
    **dict.fromkeys(("pod", "pods", "po"), "pod"),
    **dict.fromkeys(("pv", "pvs", "persistentvolume", "persistentvolumes", "volume", "volumes"), "pv"),
    **dict.fromkeys(("sts", "statefulset", "statefulsets", "statefulsets.apps", "statefulset.apps"), "sts"),
}
RESOURCES: dict[QuestionKind, Resource] = {
    "pvc": PERSISTENT_VOLUME_CLAIMS,
    "pod": PODS,
    "pv": PERSISTENT_VOLUMES,
    "sts": STATEFUL_SETS,
}
_NOUNS: dict[QuestionKind, str] = {"pvc": "claim", "pod": "pod", "pv": "volume", "sts": "StatefulSet"}


@dataclass(frozen=True, slots=True)
class Question:
    """One object that is asked about."""

    kind: QuestionKind
    name: str

    @property
    def noun(self) -> str:
        """The word of a person for its kind."""
        return _NOUNS[self.kind]

    @property
    def resource(self) -> Resource:
        """The resource of its kind at an API server."""
        return RESOURCES[self.kind]

    def is_missing(self, snapshot: Snapshot, namespace: str) -> bool:
        """Tell whether it isn't in `snapshot`."""
        return self.name not in self._names(snapshot, namespace)

    def explanation(self, snapshot: Snapshot, namespace: str) -> Explanation | None:
        """Return the explanation of it; None if it isn't there."""
        from pvbinder.insight.claims import explain_claim
        from pvbinder.insight.pods import explain_pod
        from pvbinder.insight.stateful_sets import explain_set
        from pvbinder.insight.volumes import explain_volume
        from pvbinder.model.objects import claim_key

        match self.kind:
            case "pvc":
                claim = snapshot.claim(claim_key(namespace, self.name))
                return explain_claim(claim, snapshot) if claim is not None else None
            case "pod":
                pod = snapshot.pod(f"{namespace}/{self.name}")
                return explain_pod(pod, snapshot) if pod is not None else None
            case "pv":
                volume = snapshot.volume(self.name)
                return explain_volume(volume, snapshot) if volume is not None else None
            case "sts":
                stateful_set = snapshot.stateful_set(f"{namespace}/{self.name}")
                return explain_set(stateful_set, snapshot) if stateful_set is not None else None

    def meant(self, snapshot: Snapshot, namespace: str) -> str:
        """Say what may have been meant by a name that isn't there."""
        from pvbinder.insight.wording import nearest

        if self.resource.namespaced:
            elsewhere = sorted(key for key in self._keys(snapshot) if key.partition("/")[2] == self.name)
            if elsewhere:
                return f"there is {', '.join(elsewhere)}: choose with -n"
        near = nearest(self.name, self._names(snapshot, namespace))
        if near:
            return f"did you mean {near}?"
        return (
            "choose another namespace with -n" if self.resource.namespaced else "kubectl get pv lists those there are"
        )

    def _names(self, snapshot: Snapshot, namespace: str) -> list[str]:
        if not self.resource.namespaced:
            return self._keys(snapshot)
        return [name for key in self._keys(snapshot) for place, _, name in [key.partition("/")] if place == namespace]

    def _keys(self, snapshot: Snapshot) -> list[str]:
        match self.kind:
            case "pvc":
                return [each.key for each in snapshot.claims()]
            case "pod":
                return [each.key for each in snapshot.pods()]
            case "pv":
                return [each.name for each in snapshot.volumes]
            case "sts":
                return [each.key for each in snapshot.stateful_sets()]


def means_claims(words: tuple[str, ...]) -> bool:
    """Tell whether `words` are nothing but the kind of claims, as in kubectl's ``get pvc -A``."""
    return len(words) == 1 and WORDS.get(words[0].lower()) == "pvc"


def parse_questions(words: tuple[str, ...]) -> tuple[Question, ...]:
    """Return what `words` ask about, or raise `WrongUsageError`."""
    if len(words) > 1 and "/" not in words[0]:
        kind = _kind(words[0])
        return tuple(dict.fromkeys(Question(kind, _alone(word)) for word in words[1:]))
    targets = [word.split("/", 1) for word in words]
    if not targets or any(len(parts) != 2 or not parts[1] for parts in targets):
        if len(words) == 1 and words[0].lower() not in WORDS and "/" not in words[0] and words[0]:
            raise WrongUsageError(f"{words[0]!r} names no claim or pod", hint=f"write: pvbinder explain pvc {words[0]}")
        kind = WORDS.get(words[0].lower(), "pvc") if len(words) == 1 else "pvc"
        hint = f"write: pvbinder explain {kind} NAME, or pvbinder explain --all for all claims of a namespace"
        what = repr(" ".join(words)) if words else "the command line"
        raise WrongUsageError(f"{what} names no claim or pod", hint=hint)
    return tuple(dict.fromkeys(Question(_kind(kind), name) for kind, name in targets))


def _kind(word: str) -> QuestionKind:
    kind = WORDS.get(word.lower())
    if kind is None:
        hint = "explain a claim, a pod, a volume or a StatefulSet: pvc, pod, pv, sts NAME"
        if word.lower().startswith("volumesnapshot"):
            hint = "explain a claim that is to be restored from it, or see its status.error: kubectl describe " + word
        raise WrongUsageError(f"{word!r} can't be explained", hint=hint)
    return kind


def _alone(word: str) -> str:
    if not word or "/" in word:
        raise WrongUsageError(f"{word!r} is no name", hint="write pvc NAME NAME, or pvc/NAME pod/NAME")
    return word
