"""The places of files, and the files that are never overwritten."""

from __future__ import annotations

from pathlib import Path

import pytest

from pvbinder.cli.errors import WrongUsageError
from pvbinder.cli.options import check_kubeconfig_is_ours, default_data_dir
from pvbinder.plane.ports import port_of_last_time

OURS = "{clusters: [{name: pvbinder, cluster: {server: 'https://127.0.0.1:6443'}}]}"


def test_the_data_directory_follows_xdg() -> None:
    assert default_data_dir({"XDG_DATA_HOME": "/data/ana"}) == Path("/data/ana/pvbinder")
    assert default_data_dir({}) == Path("~/.local/share/pvbinder").expanduser()
    assert default_data_dir({"XDG_DATA_HOME": "relative"}) == Path("~/.local/share/pvbinder").expanduser()


def test_our_own_kubeconfig_may_be_written_anew(tmp_path: Path) -> None:
    check_kubeconfig_is_ours(tmp_path / "new")
    (tmp_path / "ours").write_text(OURS)
    check_kubeconfig_is_ours(tmp_path / "ours")


FOREIGN = {
    "another cluster": b"{clusters: [{name: prod}]}",
    "ours and another": b"{clusters: [{name: pvbinder}, {name: prod}]}",
    "no kubeconfig": b"dear diary",
    "no YAML": b"{",
    "no text": b"\xff\xfe\x00",
    "a strange shape": b"{clusters: [1, {}]}",
}


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
def test_a_kubeconfig_to_elsewhere_is_not_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)

    with pytest.raises(WrongUsageError, match="would be overwritten"):
        check_kubeconfig_is_ours(path)


def test_the_port_of_last_time_is_read_from_the_kubeconfig(tmp_path: Path) -> None:
    assert port_of_last_time(tmp_path / "none") is None
    path = tmp_path / "kubeconfig"
    path.write_text(OURS)
    assert port_of_last_time(path) == 6443
    for content in FOREIGN.values():
        path.write_bytes(content)
        assert port_of_last_time(path) is None
