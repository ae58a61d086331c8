"""The roles of a sidecar, and the choice among them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.controllers.cluster import claim, cluster
from tests.controllers.csi.fake_driver import FakeDriver, handlers
from tests.controllers.csi.stage import storage_class
from tests.kube.small_server import SmallServer

from pvbinder.controllers.context import Controller, ControllerContext
from pvbinder.controllers.csi.driver_info import DriverInfo
from pvbinder.controllers.csi.measures import CsiMeasures
from pvbinder.controllers.csi.options import SidecarOptions
from pvbinder.controllers.csi.rights import Right, rules_of
from pvbinder.controllers.csi.roles import ROLE_NAMES, ROLES, RoleContext, SidecarRole, UnknownRoleError, choose_roles
from pvbinder.controllers.csi.sidecar import CsiSidecar
from pvbinder.controllers.options import ControllerOptions
from pvbinder.controllers.registry import CONTROLLERS, ControllerDeclaration
from pvbinder.csi.serving import serving
from pvbinder.kube.client import Client
from pvbinder.kube.informers import Informers
from pvbinder.kube.kinds import CLAIMS
from pvbinder.rules.csi.volumes import Abilities


def test_role_1_choosing_among_roles_imports_none_of_them() -> None:
    program = """
import sys
from pvbinder.controllers.csi.roles import choose_roles, ROLE_NAMES
choose_roles(",".join(ROLE_NAMES))
assert "grpc" not in sys.modules
assert "pvbinder.controllers.csi.provisioner" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60, cwd=Path(__file__).parents[3])


async def test_role_1_a_driver_has_no_use_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(_: RoleContext) -> list[object]:
        raise AssertionError("it is made")

    idle = SidecarRole(
        "idle",
        "nothing",
        make,  # type: ignore[arg-type]
        (),
        "idle-{}",
        warms=lambda _: (),
        is_of_use=lambda can: can.clone_volume,
    )
    monkeypatch.setattr("pvbinder.controllers.csi.sidecar.ROLES", (*ROLES, idle))
    address = f"unix://{tmp_path}/csi.sock"
    made: list[CsiSidecar] = []

    def sidecar(context: ControllerContext) -> Controller:
        made.append(CsiSidecar(context, address))
        return made[0]

    known = (*CONTROLLERS, ControllerDeclaration("csi", user="", make=sidecar))
    chosen = ControllerOptions(controllers="persistentvolume-binder,csi")
    async with serving(address, handlers(FakeDriver())), cluster(chosen, known) as c:
        await c.create(storage_class(), claim("orders", storageClassName="fast"))
        await c.until(lambda: any(one.phase == "Bound" for one in c.of(CLAIMS)))
        assert [queue.name for queue in made[0].queues()] == ["claims", "volumes"]
        watched = {informer.kind.resource.plural for informer in c.manager.informers}
        assert watched.isdisjoint({"csinodes", "volumeattachments"})  # the driver has no topology, and doesn't publish
        await c.stop()


@pytest.mark.parametrize("text", ["provisioner", " provisioner ,", "provisioner,provisioner"])
def test_role_2_those_that_are_named_are_chosen_once(text: str) -> None:
    assert [role.name for role in choose_roles(text)] == ["provisioner"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("provisioner,Provisoner", "there is no role 'Provisoner': did you mean provisioner?"),
        ("livenessprobe", "there is no role 'livenessprobe'"),
        ("-provisioner", "there is no role '-provisioner': did you mean provisioner?"),
        ("", "no role is named"),
    ],
)
def test_role_2_what_is_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(UnknownRoleError) as caught:
        choose_roles(text)
    assert caught.value.message == message
    assert caught.value.hint == f"there are {', '.join(ROLE_NAMES)}"


def test_all_roles_are_chosen_where_none_is_named() -> None:
    assert SidecarOptions().roles == ""
    assert len(set(ROLE_NAMES)) == len(ROLES)


@pytest.mark.parametrize("role", ROLES, ids=ROLE_NAMES)
def test_role_3_the_page_says_what_each_role_may_do(role: SidecarRole) -> None:
    page = (Path(__file__).parents[3] / "docs" / "csi.md").read_text()
    for one in role.rights:
        cells = [role.name, one.group, ", ".join(one.resources), ", ".join(one.verbs), one.only]
        row = "".join(f"| {cell} " if cell else "| " for cell in cells) + "|"
        assert row in page


def test_rights_are_rules_of_a_role() -> None:
    right = Right("storage.k8s.io", ("csinodes", "storageclasses"), ("get", "list"), only="now and then")
    assert rules_of([right]) == [
        {"apiGroups": ["storage.k8s.io"], "resources": ["csinodes", "storageclasses"], "verbs": ["get", "list"]}
    ]


ABILITIES = {
    "all": Abilities(*(True for _ in Abilities.__struct_fields__)),
    "none": Abilities(*(False for _ in Abilities.__struct_fields__)),
}


@pytest.mark.parametrize("role", ROLES, ids=ROLE_NAMES)
@pytest.mark.parametrize("can", ABILITIES.values(), ids=ABILITIES)
async def test_role_4_a_role_reads_what_it_warms_and_nothing_else(role: SidecarRole, can: Abilities) -> None:
    client = Client(SmallServer())
    informers = Informers(client)
    context = ControllerContext(client, informers, ControllerOptions())
    here = RoleContext(context, FakeDriver(), DriverInfo("d.example.com", can), SidecarOptions(), "c", CsiMeasures())
    warm = {informers.of(kind).kind.resource.plural for kind in role.warms(here)}
    role.make(here)
    read = {informer.kind.resource.plural for informer in informers}
    assert warm == read or (warm > read and not role.is_of_use(can))
