"""The flags as data: names, defaults, values that make sense and values that don't."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from pvbinder.controllers.features import UNUSED_SINCE, FeatureGates
from pvbinder.controllers.flags import BY_NAME, FLAGS, Flag, OptionError, flag_named, options_from
from pvbinder.controllers.options import ControllerOptions

REFERENCE = {  # docs/rules/binder.md#1-identity-configuration-wiring: name of the flag, its default as written
    "controllers": "*",
    "feature-gates": "",
    "pvclaimbinder-sync-period": "15s",
    "enable-dynamic-provisioning": "true",
    "enable-hostpath-provisioner": "false",
    "pv-recycler-pod-template-filepath-nfs": "",
    "pv-recycler-minimum-timeout-nfs": "300",
    "pv-recycler-increment-timeout-nfs": "30",
    "pv-recycler-pod-template-filepath-hostpath": "",
    "pv-recycler-minimum-timeout-hostpath": "60",
    "pv-recycler-timeout-increment-hostpath": "30",
    "flex-volume-plugin-dir": "/usr/libexec/kubernetes/kubelet-plugins/volume/exec/",
    "concurrent-ephemeralvolume-syncs": "5",
    "concurrent-gc-syncs": "20",
    "concurrent-namespace-syncs": "10",
}


def test_the_references_flags_have_its_names_and_defaults() -> None:
    assert {flag.name: flag.default for flag in FLAGS if not flag.is_ours} == REFERENCE


def test_flags_1_every_option_has_one_flag() -> None:
    assert sorted(flag.option for flag in FLAGS) == sorted(
        field.name for field in dataclasses.fields(ControllerOptions)
    )


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_flags_1_a_default_is_a_value_that_the_flag_takes(flag: Flag) -> None:
    default = getattr(ControllerOptions(), flag.option)

    assert (flag.parse(flag.default) or None) == (default or None)


@pytest.mark.parametrize("flag", FLAGS, ids=lambda flag: flag.name)
def test_a_flag_says_what_it_means(flag: Flag) -> None:
    assert flag.meaning[0].isupper()
    assert flag.meaning.endswith(".")


VALUES = {  # flag: (text, value)
    "pvclaimbinder-sync-period": ("1m30s", 90.0),
    "enable-dynamic-provisioning": ("false", False),
    "enable-hostpath-provisioner": ("1", True),
    "pv-recycler-minimum-timeout-nfs": ("0", 0),
    "concurrent-gc-syncs": ("1", 1),
    "hostpath-root": ("/data", "/data"),
    "controllers": ("*,-pvc-protection", "*,-pvc-protection"),
}


@pytest.mark.parametrize(("name", "text", "value"), [(name, *row) for name, row in VALUES.items()])
def test_flags_2_a_text_becomes_a_value(name: str, text: str, value: object) -> None:
    parsed = BY_NAME[name].parse(text)

    assert parsed == value
    assert type(parsed) is type(value)


def test_feature_gates_are_read_by_their_own_rules() -> None:
    gates = BY_NAME["feature-gates"].parse("PersistentVolumeClaimUnusedSinceTime=true")

    assert isinstance(gates, FeatureGates)
    assert gates.is_on(UNUSED_SINCE)


REFUSED = {  # flag and text: what is said
    ("enable-hostpath-provisioner", "yes"): "--enable-hostpath-provisioner: 'yes' is not true or false",
    ("pvclaimbinder-sync-period", "15"): (
        "--pvclaimbinder-sync-period: '15' is not a duration such as 15s, 1m30s or 500ms"
    ),
    ("pvclaimbinder-sync-period", "0"): "--pvclaimbinder-sync-period: 0 must be longer than nothing",
    ("pvclaimbinder-sync-period", "-1s"): "--pvclaimbinder-sync-period: -1s must be longer than nothing",
    ("pv-recycler-minimum-timeout-nfs", "5m"): "--pv-recycler-minimum-timeout-nfs: '5m' is not a whole number",
    ("pv-recycler-minimum-timeout-nfs", ""): "--pv-recycler-minimum-timeout-nfs: '' is not a whole number",
    ("pv-recycler-minimum-timeout-nfs", "٣"): "--pv-recycler-minimum-timeout-nfs: '٣' is not a whole number",
    ("pv-recycler-minimum-timeout-nfs", "-1"): (
        "--pv-recycler-minimum-timeout-nfs: -1 is not between 0 and 2147483647"
    ),
    ("pv-recycler-minimum-timeout-nfs", "1" * 19): (
        f"--pv-recycler-minimum-timeout-nfs: {'1' * 19} is not between 0 and 2147483647"
    ),
    ("concurrent-gc-syncs", "0"): "--concurrent-gc-syncs: 0 is not between 1 and 2147483647",
    ("feature-gates", "Nonsense=true"): "--feature-gates: unrecognized feature gate: Nonsense",
    ("feature-gates", "VolumeAttributesClass=false"): (
        "--feature-gates: cannot set feature gate VolumeAttributesClass to false, feature is locked to true"
    ),
}


@pytest.mark.parametrize(("name", "text", "message"), [(*key, message) for key, message in REFUSED.items()])
def test_flags_3_a_value_that_makes_no_sense_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(OptionError) as refused:
        BY_NAME[name].parse(text)

    assert refused.value.message == message


def test_a_flag_that_there_is_not_names_the_nearest() -> None:
    with pytest.raises(OptionError) as refused:
        flag_named("pv-recycler-increment-timeout-hostpath")

    assert refused.value.message == "there is no option 'pv-recycler-increment-timeout-hostpath'"
    assert refused.value.hint == "did you mean pv-recycler-timeout-increment-hostpath?"


def test_options_without_a_value_keep_their_default() -> None:
    assert options_from({}) == ControllerOptions()
    assert options_from({"concurrent_gc_syncs": 3}) == ControllerOptions(concurrent_gc_syncs=3)


def test_the_manual_lists_every_flag_as_it_is() -> None:
    manual = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "configuration.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)`( \(ours\))? \| (?:`(.+)`)? ?\| (.+) \|$", manual, re.MULTILINE)

    assert [(name, bool(ours), default, meaning) for name, ours, default, meaning in rows] == [
        (flag.name, flag.is_ours, flag.default, flag.meaning) for flag in FLAGS
    ]
