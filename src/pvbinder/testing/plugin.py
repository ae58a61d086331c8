"""The pytest plugin: fixtures, options, and factories of fixtures.

    k8s, async_k8s      a namespace of the test's own, on `pvbinder_server`
    pvbinder_server     one control plane for the tests of a process (with xdist: of a worker)

    loaded = testing.server(load=["dump.yaml"], bare=True)      # another server
    k8s_loaded = testing.namespace("loaded")                    # and a namespace on it

PLUGIN-1  Nothing of pvbinder but this module is imported until a test asks for a fixture.
PLUGIN-2  ``--pvbinder-kubeconfig FILE`` (or ``pvbinder_kubeconfig`` in the configuration) has the tests run against
          that cluster in place of a server of their own.
PLUGIN-3  The report of a failed test has a section with what its controllers decided.
"""

from __future__ import annotations

import gc
import sys
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pvbinder.testing.cluster import ClusterUnderTest
    from pvbinder.testing.k8s import AsyncK8s, K8s

SERVER = "pvbinder_server"
_OPTION = "pvbinder_kubeconfig"
_PLACE = pytest.StashKey["K8s | AsyncK8s"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options (PLUGIN-2)."""
    group = parser.getgroup("pvbinder")
    text = "The kubeconfig of a cluster to run tests against, in place of a server of their own."
    group.addoption("--pvbinder-kubeconfig", metavar="FILE", default=None, help=text)
    parser.addini(_OPTION, text, default="")


def server(*, scope: Any = "session", **options: Any) -> Callable[[pytest.FixtureRequest], Iterator[ClusterUnderTest]]:
    """Return a fixture of a control plane; `options` are those of `pvbinder.testing.own.OwnCluster`.

    `load` are files and objects to begin with; `bare`, `default_class`, `controllers` and `csi_drivers` are as the
    flags of ``pvbinder up``, and so are those of the controllers: ``pvclaimbinder_sync_period="2s"``,
    ``feature_gates={"VolumeAttributesClass": False}``.
    """

    @pytest.fixture(scope=scope)
    def made() -> Iterator[ClusterUnderTest]:
        with _starting():
            from pvbinder.testing.k8s import K8s  # noqa: F401  (each test uses it)
            from pvbinder.testing.own import OwnCluster

            cluster = OwnCluster(**options)
        try:
            yield cluster
        finally:
            cluster.close()

    return made


def namespace(of: str = SERVER, *, asynchronous: bool = False) -> Callable[[pytest.FixtureRequest], Any]:
    """Return a fixture of a namespace on the server that the fixture called `of` makes.

    An `asynchronous` one has methods to be awaited, on whatever loop the test runs (pytest-asyncio, anyio).
    """

    @pytest.fixture
    def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[K8s]:
        from pvbinder.testing.k8s import K8s

        with _test_on(request, of) as (cluster, name):
            place = K8s(cluster, name, tmp_path, request.path.parent)
            request.node.stash[_PLACE] = place
            yield place
            place.close_clients()
            place.play.close()

    @pytest.fixture
    def made_async(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AsyncK8s]:
        from pvbinder.testing.k8s import AsyncK8s

        with _test_on(request, of) as (cluster, name):
            place = AsyncK8s(cluster, name, tmp_path, request.path.parent)
            request.node.stash[_PLACE] = place
            yield place
            place.close_clients()
            place.play.close()

    return made_async if asynchronous else made


@contextmanager
def _test_on(request: pytest.FixtureRequest, of: str) -> Iterator[tuple[ClusterUnderTest, str]]:
    cluster: ClusterUnderTest = request.getfixturevalue(of)
    name = f"test-{uuid.uuid4().hex[:10]}"
    cluster.thread.do(cluster.begin(name))
    try:
        yield cluster, name
    finally:
        place = request.node.stash.get(_PLACE, None)
        cluster.thread.do(cluster.end(name, place.work.cluster_wide if place is not None else []))


@contextmanager
def _starting() -> Iterator[None]:
    """Start as the command does: nobody looks at what is made to stay, and nobody works on what is imported.

    The garbage collector would look again and again, and pytest rewrites the assertions of all modules of a package
    that brings a plugin: together half of the start. Our modules have no assertions that a test could report.
    """
    was_enabled, finders = gc.isenabled(), list(sys.meta_path)
    gc.disable()
    sys.meta_path[:] = [finder for finder in finders if not type(finder).__module__.startswith("_pytest.assertion")]
    try:
        yield
    finally:
        sys.meta_path[:] = finders
        if was_enabled:
            gc.enable()


@pytest.fixture(scope="session")
def pvbinder_server(request: pytest.FixtureRequest) -> Iterator[ClusterUnderTest]:
    """The control plane of this process's tests, or the cluster that ``--pvbinder-kubeconfig`` names."""
    named = request.config.getoption(_OPTION) or request.config.getini(_OPTION)
    if named:
        from pvbinder.testing.cluster import OtherCluster

        cluster: ClusterUnderTest = OtherCluster(Path(named).expanduser())
    else:
        with _starting():
            from pvbinder.testing.k8s import K8s  # noqa: F401  (each test uses it)
            from pvbinder.testing.own import OwnCluster

            cluster = OwnCluster()
    try:
        yield cluster
    finally:
        cluster.close()


k8s = namespace(SERVER)
async_k8s = namespace(SERVER, asynchronous=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add what was decided to the report of a failed test (PLUGIN-3)."""
    report = yield
    place = item.stash.get(_PLACE, None)
    if call.when == "call" and report.failed and place is not None and place.is_own:
        told = "\n".join(map(str, place.decisions))
        if told:
            report.sections.append(("what the controllers decided", told))
    return report
