"""What requests to the local driver say, checked."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from tests.csi.local.calls import MIB, capability, driver_in, volume_request

from pvbinder.csi.errors import CallFailed, Code
from pvbinder.csi.local import arguments
from pvbinder.csi.local.volumes import SettingsChange
from pvbinder.csi.wire import methods


@pytest.mark.parametrize("name", ["a", "n" * 128, "a\tb\nc\rd", "\N{SNOWMAN}" * 42, "../x", "\xa0"])
def test_arguments_1_a_name_is_any_text_of_its_length(name: str) -> None:
    assert arguments.name_of(name) == name


@pytest.mark.parametrize("name", ["", "n" * 129, "\N{SNOWMAN}" * 43, *(f"a{chr(code)}" for code in (0, 8, 11, 12))])
def test_arguments_1_a_name_is_refused(name: str) -> None:
    with pytest.raises(CallFailed) as caught:
        arguments.name_of(name)
    assert caught.value.code is Code.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("parameters", "change"),
    [
        ({}, SettingsChange()),
        ({"readOnly": "true"}, SettingsChange(read_only=True)),
        ({"readOnly": "false", "quotaBytes": "0"}, SettingsChange(read_only=False, quota_bytes=0)),
        ({"csi.storage.k8s.io/pvc/name": "x"}, SettingsChange()),
        ({"quotaBytes": str((1 << 63) - 1)}, SettingsChange(quota_bytes=(1 << 63) - 1)),
    ],
)
def test_arguments_2_parameters_are_read(parameters: dict[str, str], change: SettingsChange) -> None:
    assert arguments.change_of(parameters, "parameters") == change


@pytest.mark.parametrize(
    "parameters",
    [
        {"readonly": "true"},
        {"readOnly": "True"},
        {"readOnly": ""},
        {"quotaBytes": ""},
        {"quotaBytes": "1Gi"},
        {"quotaBytes": "+1"},
        {"quotaBytes": "\N{ARABIC-INDIC DIGIT ONE}"},
        {"quotaBytes": str(1 << 63)},
        {"csi.storage.k8s.io": "x"},
        {"": ""},
    ],
)
def test_arguments_2_parameters_are_refused(parameters: dict[str, str]) -> None:
    with pytest.raises(CallFailed) as caught:
        arguments.change_of(parameters, "parameters")
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert "parameters" in caught.value.description


async def test_arguments_3_no_secret_is_kept_or_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secrets = {"password": "hunter2"}
    async with driver_in(tmp_path) as calls:
        volume = await calls.volume(required=MIB, secrets=secrets)
        said = [
            await calls.refused(
                Code.ALREADY_EXISTS, methods.CREATE_VOLUME, volume_request(required=2 * MIB, secrets=secrets)
            ),
            await calls.refused(
                Code.INVALID_ARGUMENT,
                methods.CONTROLLER_MODIFY_VOLUME,
                volume_id=volume.volume_id,
                secrets=secrets,
                mutable_parameters={"x": "y"},
            ),
        ]
        await calls.publish(volume.volume_id, calls.pods / "a", volume_capability=capability(), secrets=secrets)
        await calls.unpublish(volume.volume_id, calls.pods / "a")
        await calls.call(methods.DELETE_VOLUME, volume_id=volume.volume_id, secrets=secrets)
    assert "hunter2" not in "".join([caplog.text, *said, *(p.read_text() for p in tmp_path.rglob("*.json"))])
