"""All attacks, by name."""

from __future__ import annotations

from tests.adversary import faulty_proxy
from tests.adversary.attack import Attack

ATTACKS: dict[str, Attack] = {attack.name: attack for module in (faulty_proxy,) for attack in module.ATTACKS}
