"""The parts that every handler works with: the stored objects, the authoriser, and the threads for heavy work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pvbinder.server.api.admission import SERVICE_ACCOUNT_PLUGIN, PolicyHooks
from pvbinder.server.api.admission.policies.hooks import POLICIES
from pvbinder.server.api.admission.policies.rights import guard_params
from pvbinder.server.api.aside import Aside
from pvbinder.server.identity.attributes import Attributes
from pvbinder.server.identity.authorization import AlwaysAllow, Authorizer, decide
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json, ServedKind
from pvbinder.server.requests import UserInfo

# What answers a POST to a subresource that changes nothing: from the object and what was sent.
Post: TypeAlias = Callable[[Json, Json], Json]


@dataclass(frozen=True, slots=True)
class Api:
    """The served kinds, and all that serving them takes."""

    objects: StoredObjects
    authorizer: Authorizer = field(default_factory=AlwaysAllow)
    posts: Mapping[tuple[str, str], Post] = field(default_factory=dict)  # by resource and subresource
    disabled_plugins: frozenset[str] = frozenset({SERVICE_ACCOUNT_PLUGIN})  # of admission
    aside: Aside = field(default_factory=Aside)  # where heavy work is done
    watches: Counter[str] = field(default_factory=Counter)  # open ones, by resource
    policies: PolicyHooks = field(init=False)  # of admission, that are bound

    def __post_init__(self) -> None:
        object.__setattr__(self, "policies", PolicyHooks(self.objects))

    def may(self, user: UserInfo) -> Callable[[Attributes], bool]:
        """Return what says whether `user` may do something."""
        return lambda attributes: decide(self.authorizer, user, attributes).allowed

    def guard(self, user: UserInfo, kind: ServedKind, new: Json, old: Json | None) -> None:
        """Raise ApiError if `user` may not store `new` for what it says: rights, or parameters of policies."""
        self.authorizer.guard(user, kind, new, old)
        if kind.resource.group == POLICIES.group:
            guard_params(self.objects, self.authorizer, user, kind, new, old)
