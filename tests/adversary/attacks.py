"""All attacks, by name."""

from __future__ import annotations

from tests.adversary import clocks, disks, faulty_proxy, flooder, kills, readers, stores, users
from tests.adversary.attack import Attack

ATTACKS: dict[str, Attack] = {
    attack.name: attack
    for module in (faulty_proxy, flooder, readers, users, stores, kills, disks, clocks)
    for attack in module.ATTACKS
}
