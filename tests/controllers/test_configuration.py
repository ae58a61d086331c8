"""Flags from a file: values that are read, errors with their line, and the priority of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pvbinder.controllers.configuration import Rates, read_configuration, read_options
from pvbinder.controllers.features import UNUSED_SINCE
from pvbinder.controllers.flags import FLAGS, HOW_WRITTEN, Flag, OptionError
from pvbinder.controllers.options import ControllerOptions

FILE = """
# everything that differs from the defaults
pvclaimbinder-sync-period: 30s
enable-hostpath-provisioner: true
pv-recycler-minimum-timeout-nfs: 600
controllers: ["*", "-ephemeral-volume"]
feature-gates:
  PersistentVolumeClaimUnusedSinceTime: true
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "pvbinder.yaml"


def test_configuration_1_a_file_sets_options_by_the_names_of_flags(file: Path) -> None:
    file.write_text(FILE)
    options = read_options({}, file)

    assert options.pvclaimbinder_sync_period == 30.0
    assert options.enable_hostpath_provisioner is True
    assert options.pv_recycler_minimum_timeout_nfs == 600
    assert options.controllers == "*,-ephemeral-volume"
    assert options.feature_gates.is_on(UNUSED_SINCE)
    assert options.pv_recycler_increment_timeout_nfs == ControllerOptions().pv_recycler_increment_timeout_nfs


def test_configuration_1_a_short_name_is_a_name_of_the_flag(file: Path) -> None:
    file.write_text("sync-period: 7s\n")
    assert read_options({}, file).pvclaimbinder_sync_period == 7.0
    assert read_options({"pvclaimbinder-sync-period": "2s"}, file).pvclaimbinder_sync_period == 2.0


def test_configuration_1_the_command_line_overrides_the_file(file: Path) -> None:
    file.write_text(FILE)
    options = read_options({"pvclaimbinder-sync-period": "2s"}, file)

    assert options.pvclaimbinder_sync_period == 2.0
    assert options.enable_hostpath_provisioner is True


def test_without_flags_and_file_there_are_the_defaults(file: Path) -> None:
    file.write_text("# nothing\n")

    assert read_options({}) == read_options({}, file) == ControllerOptions()


def test_a_value_may_be_written_as_on_the_command_line(file: Path) -> None:
    file.write_text("controllers: '*,-pvc-protection'\nfeature-gates: PersistentVolumeClaimUnusedSinceTime=true\n")

    options = read_options({}, file)
    assert options.controllers == "*,-pvc-protection"
    assert options.feature_gates.is_on(UNUSED_SINCE)


REFUSED = {  # what is wrong: (the file, what is said after its name, the hint)
    "an unknown key": (
        "controllers: '*'\npvc-binder-sync-period: 1s",
        ", line 2: there is no option 'pvc-binder-sync-period'",
        "did you mean pvclaimbinder-sync-period?",
    ),
    "underscores": (
        "enable_hostpath_provisioner: true",
        ", line 1: there is no option 'enable_hostpath_provisioner'",
        "did you mean enable-hostpath-provisioner?",
    ),
    "twice": ("concurrent-gc-syncs: 1\n\nconcurrent-gc-syncs: 2", ", line 3: concurrent-gc-syncs is there twice", None),
    "twice by two names": (
        "sync-period: 1s\npvclaimbinder-sync-period: 2s",
        ", line 2: pvclaimbinder-sync-period is there twice",
        None,
    ),
    "a wrong type": (
        "enable-hostpath-provisioner: 7",
        ", line 1: enable-hostpath-provisioner: '7' is not true or false",
        None,
    ),
    "a wrong value": (
        "concurrent-gc-syncs: 0",
        ", line 1: concurrent-gc-syncs: 0 is not between 1 and 2147483647",
        None,
    ),
    "a duration without its unit": (
        "\npvclaimbinder-sync-period: 15",
        ", line 2: pvclaimbinder-sync-period: '15' is not a duration such as 15s, 1m30s or 500ms",
        None,
    ),
    "no value": (
        "pvclaimbinder-sync-period:",
        f", line 1: pvclaimbinder-sync-period has no value: leave it out, or write {HOW_WRITTEN['duration']}",
        None,
    ),
    "a list for a number": ("concurrent-gc-syncs: [1]", ", line 1: concurrent-gc-syncs must be a whole number", None),
    "lists in a list": (
        "controllers: [[a]]",
        ", line 1: controllers must be names with commas between them",
        None,
    ),
    "a wrong gate": (
        "feature-gates: {VolumeAttributesClass: false}",
        ", line 1: feature-gates: cannot set feature gate VolumeAttributesClass to false, feature is locked to true",
        None,
    ),
    "a list": ("- controllers", ": a configuration is a map of flags to values, as in `controllers: '*'`", None),
    "no YAML": ("controllers: '*'\nfeature-gates: [1\n", ", line 3: did not find expected ',' or ']'", None),
    "a key that is no text": ("? [a]\n: b", ", line 1: the name of a flag is a text", None),
}


@pytest.mark.parametrize(("text", "said", "hint"), REFUSED.values(), ids=REFUSED.keys())
def test_configuration_2_what_a_file_gets_wrong_is_said_with_its_place(
    file: Path, text: str, said: str, hint: str | None
) -> None:
    file.write_text(text)
    with pytest.raises(OptionError) as refused:
        read_configuration(file)

    assert refused.value.message == f"{file}{said}"
    assert refused.value.hint == hint


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00", b"x" * (2 << 20), b"[" * 5000])
def test_configuration_2_a_file_that_is_no_yaml_is_refused(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(OptionError, match=str(file)) as refused:
        read_configuration(file)
    assert "\n" not in refused.value.message


def test_a_file_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(OptionError, match="can't be read: No such file or directory"):
        read_configuration(file)


def test_an_unknown_flag_of_the_command_line_is_refused_too() -> None:
    with pytest.raises(OptionError, match="there is no option 'controler'"):
        read_options({"controler": "*"})


SIMPLE = [flag for flag in FLAGS if flag.type in ("boolean", "integer")]


@given(st.sampled_from(SIMPLE), st.one_of(st.booleans(), st.integers(-10, 2**40)))
def test_flags_2_a_file_and_the_command_line_take_the_same_values(
    tmp_path_factory: pytest.TempPathFactory, flag: Flag, value: bool | int
) -> None:
    name = flag.name
    text = str(value).lower()
    file = tmp_path_factory.mktemp("conf") / "pvbinder.yaml"
    file.write_text(f"{name}: {text}\n")

    def outcome(flags: dict[str, str], path: Path | None) -> ControllerOptions | str:
        try:
            return read_options(flags, path)
        except OptionError as error:
            return error.message.rpartition(f"{name}: ")[2]

    assert outcome({name: text}, None) == outcome({}, file)


RATES = {
    "kube-api-qps: 50\nkube-api-burst: 100\n": Rates(50.0, 100),
    "generic: {clientConnection: {qps: 2.5}}\n": Rates(2.5, None),
    "apiVersion: kubecontrollermanager.config.k8s.io/v1alpha1\nkind: KubeControllerManagerConfiguration\n"
    "generic:\n  clientConnection:\n    burst: 7\n": Rates(None, 7),
    "controllers: '*'\n": Rates(),
}


@pytest.mark.parametrize(("text", "rates"), RATES.items())
def test_configuration_3_rates_are_read_either_way(tmp_path: Path, text: str, rates: Rates) -> None:
    file = tmp_path / "pvbinder.yaml"
    file.write_text(text)
    found = Rates()
    assert read_options({}, file, rates=found) == ControllerOptions()
    assert found == rates


BAD_RATES = {
    "kube-api-qps: fast": "kube-api-qps must be a number from 0 on",
    "kube-api-burst: 2.5": "kube-api-burst must be a whole number from 0 on",
    "kube-api-qps: -1": "kube-api-qps must be a number",
    "kube-api-qps: .nan": "kube-api-qps must be a number",
    "kube-api-qps: [1]": "kube-api-qps must be a number",
    "kube-api-qps: 1\ngeneric: {clientConnection: {qps: 2}}": "line 2: generic.clientConnection.qps is there twice",
    "generic: {clientConnection: {qps: 2, qps: 3}}": "generic.clientConnection.qps is there twice",
    "generic: 7": "generic must be a map with clientConnection",
    "generic: {clientConnection: 7}": "generic.clientConnection must be a map with qps and burst",
    "generic: {leaderElection: {}}": "generic has only clientConnection here",
    "generic: {[1]: {}}": "generic has only clientConnection here",
    "kind: Pod": "kind can only be KubeControllerManagerConfiguration",
}


@pytest.mark.parametrize(("text", "says"), BAD_RATES.items())
def test_configuration_3_a_bad_rate_is_named_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "pvbinder.yaml"
    file.write_text(text)
    with pytest.raises(OptionError, match=rf"line \d: .*{says}|{says}") as caught:
        read_options({}, file, rates=Rates())
    assert ", line " in caught.value.message


def test_configuration_3_who_asks_no_other_server_refuses_rates(tmp_path: Path) -> None:
    file = tmp_path / "pvbinder.yaml"
    file.write_text("generic: {clientConnection: {qps: 2}}")
    with pytest.raises(OptionError, match="generic is of `pvbinder controller`"):
        read_options({}, file)
