"""Every attack is made: for some seconds in `make test`, the same each time, and for long in `make soak`, always anew.

In a soak, all of them together take about as long as `PVBINDER_SOAK_SECONDS` says. A failure names the seed.
"""

from __future__ import annotations

import gc
import os
import time
from pathlib import Path
from random import Random

import pytest
from tests.adversary.__main__ import main
from tests.adversary.attack import Attack, Figures, Unavailable, shown
from tests.adversary.attacks import ATTACKS

EACH_ATTACK = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
HERE = Path(__file__).resolve().parent


@pytest.fixture(autouse=True)
def no_strange_clock_or_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the environment says of proxies is for others."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)


def attacked(attack: Attack, directory: Path, seconds: float, seed: int) -> Figures:
    """Attack, and print the figures."""
    try:
        figures = attack.run(directory, seconds, Random(seed))
    except Unavailable as reason:
        pytest.skip(str(reason))
    except BaseException as error:
        error.add_note(f"python -m tests.adversary {attack.name} --seconds {seconds:.0f} --seed {seed}")
        raise
    finally:
        gc.collect()  # a connection that an attack has forgotten is reported here, not in whatever test comes next
    print(shown(attack.name, {"seed": seed, **figures}))
    return figures


@pytest.mark.slow
@EACH_ATTACK
def test_an_attack_for_some_seconds_finds_nothing(attack: Attack, tmp_path: Path) -> None:
    assert attacked(attack, tmp_path, attack.seconds, seed=1)


@pytest.mark.soak
@EACH_ATTACK
def test_an_attack_for_long_finds_nothing(attack: Attack, tmp_path: Path) -> None:
    seconds = float(os.environ.get("PVBINDER_SOAK_SECONDS", "60")) / len(ATTACKS)
    assert attacked(attack, tmp_path, max(seconds, attack.seconds), seed=time.time_ns() % 1_000_000)


def test_the_page_of_the_folder_tells_of_every_attack() -> None:
    page = (HERE / "README.md").read_text()
    assert [name for name in ATTACKS if f"| `{name}` |" not in page] == []


def test_an_attack_that_is_none_is_refused_with_the_names_of_those_that_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["adversary", "nothing"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "no such attack: nothing; there are faulty-proxy" in capsys.readouterr().err
