"""The parts that every handler works with: the stored objects, the authoriser, and the threads for heavy work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from pvbinder.server.api.admission import SERVICE_ACCOUNT_PLUGIN
from pvbinder.server.api.aside import Aside
from pvbinder.server.identity.authorization import AlwaysAllow, Authorizer
from pvbinder.server.kinds.stored_objects import StoredObjects
from pvbinder.server.objects.kind import Json

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
