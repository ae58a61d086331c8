"""Which controllers ``--controllers`` chooses (CHOICE-1 to CHOICE-3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pvbinder.controllers.registry import (
    CONTROLLERS,
    ControllerDeclaration,
    UnknownControllerError,
    beside_a_cluster,
    choose_controllers,
)


def declared(name: str, alias: str = "", *, on: bool = True) -> ControllerDeclaration:
    return ControllerDeclaration(name, name, lambda _: pytest.fail("nothing is made"), alias, on_by_default=on)


KNOWN = (
    declared("binder-controller", "binder"),
    declared("protection-controller", "protection"),
    declared("extra", on=False),
)

CHOICES = {  # the flag: what is chosen
    "": [],
    "*": ["binder-controller", "protection-controller"],
    "binder": ["binder-controller"],
    "binder-controller": ["binder-controller"],
    "protection,binder": ["binder-controller", "protection-controller"],
    "*,-binder": ["protection-controller"],
    "-binder,*": ["protection-controller"],
    "*,extra": ["binder-controller", "protection-controller", "extra"],
    "-extra": [],
    " * , -protection-controller ,": ["binder-controller"],
    "binder,-binder": ["binder-controller"],
    "-binder,binder,*": ["protection-controller"],
}


@pytest.mark.parametrize(("text", "chosen"), CHOICES.items())
def test_choice_2_the_flag_is_read_as_the_reference_reads_it(text: str, chosen: list[str]) -> None:
    assert [declaration.name for declaration in choose_controllers(text, KNOWN)] == chosen


@pytest.mark.parametrize("text", ["blinder", "*,-blinder", "**"])
def test_choice_3_a_name_that_there_is_not_is_refused(text: str) -> None:
    with pytest.raises(UnknownControllerError, match="there is no controller") as caught:
        choose_controllers(text, KNOWN)
    assert caught.value.hint == "there are binder-controller (binder), protection-controller (protection), extra"


REFERENCE = {  # name: alias, as kube-controller-manager has them
    "persistentvolume-binder-controller": "persistentvolume-binder",
    "persistentvolumeclaim-protection-controller": "pvc-protection",
    "persistentvolume-protection-controller": "pv-protection",
    "volumeattributesclass-protection-controller": "",
    "ephemeral-volume-controller": "ephemeral-volume",
    "persistentvolume-expander-controller": "persistentvolume-expander",
    "resourcequota-controller": "resourcequota",
}


@pytest.mark.parametrize(("name", "alias"), REFERENCE.items())
def test_choice_1_names_and_aliases_are_the_references(name: str, alias: str) -> None:
    [declaration] = [declaration for declaration in CONTROLLERS if declaration.name == name]

    assert declaration.alias == alias
    assert declaration.on_by_default
    if alias:
        assert choose_controllers(alias) == (declaration,)


def test_control_5_beside_a_cluster_only_the_controllers_of_volumes_start_by_themselves() -> None:
    stranger = replace(CONTROLLERS[0], name="stranger-controller", on_by_default=True)
    assert [one.name for one in beside_a_cluster((*CONTROLLERS, stranger)) if one.on_by_default] == [
        "persistentvolume-binder-controller",
        "persistentvolumeclaim-protection-controller",
        "persistentvolume-protection-controller",
        "volumeattributesclass-protection-controller",
        "ephemeral-volume-controller",
        "persistentvolume-expander-controller",
    ]
