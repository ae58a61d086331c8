"""Clients of other libraries, ready for a test's namespace. Each library is imported when it is asked for."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from pvbinder.kube.config import load
from pvbinder.model.errors import PvbinderError


def new_client(library: str, kubeconfig: Path, namespace: str) -> Any:
    """Return a client of `library`; what it is stands in `LIBRARIES`.

    Raises PvbinderError if the library isn't known, or isn't installed.
    """
    make = LIBRARIES.get(library)
    if make is None:
        raise PvbinderError(f"no client of {library!r} is known", hint=f"those are: {', '.join(LIBRARIES)}")
    try:
        import_module(library)
    except ImportError as error:
        raise PvbinderError(f"{library} isn't installed", hint=f"pip install {library}") from error
    return make(kubeconfig, namespace)


def _module(name: str) -> ModuleType:
    return import_module(name)


def _kubernetes(kubeconfig: Path, _: str) -> Any:
    return _module("kubernetes.config").new_client_from_config(config_file=str(kubeconfig))


def _kubernetes_asyncio(kubeconfig: Path, _: str) -> Any:
    return _module("kubernetes_asyncio.config").new_client_from_config(config_file=str(kubeconfig))


def _kr8s(kubeconfig: Path, namespace: str) -> Any:
    return _module("kr8s").api(kubeconfig=str(kubeconfig), namespace=namespace)


def _lightkube(kubeconfig: Path, namespace: str) -> Any:
    config = _module("lightkube.config.kubeconfig").KubeConfig.from_file(str(kubeconfig))
    return _module("lightkube").Client(config=config, namespace=namespace)


def _httpx(kubeconfig: Path, _: str) -> Any:
    config = load(kubeconfig)
    context = ssl.create_default_context(cadata=(config.ca or b"").decode())
    headers = {"Authorization": f"Bearer {config.token}"} if config.token else {}
    return _module("httpx").Client(base_url=config.server, verify=context, headers=headers)


LIBRARIES: Final[Mapping[str, Callable[[Path, str], Any]]] = {
    "kubernetes": _kubernetes,  # a kubernetes.client.ApiClient
    "kubernetes_asyncio": _kubernetes_asyncio,  # a coroutine that gives a kubernetes_asyncio.client.ApiClient
    "kr8s": _kr8s,  # a kr8s.Api
    "lightkube": _lightkube,  # a lightkube.Client
    "httpx": _httpx,  # an httpx.Client for paths of the API
}
