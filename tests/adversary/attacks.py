"""All attacks, by name."""

from __future__ import annotations

from tests.adversary import faulty_proxy, flooder, readers, users
from tests.adversary.attack import Attack

ATTACKS: dict[str, Attack] = {
    attack.name: attack for module in (faulty_proxy, flooder, readers, users) for attack in module.ATTACKS
}
