"""The addresses of pods: from 10.244.0.0/16, each only once at a time, the longest unused first."""

from __future__ import annotations

from typing import Final

from pvbinder.model.objects import Pod, PodKey

NETWORK: Final = "10.244"
_ADDRESSES: Final = 256 * 254


class PodAddresses:
    """The address of each pod; one that stands in a pod's status is kept, so that a restart changes nothing."""

    def __init__(self) -> None:
        self._by_pod: dict[PodKey, str] = {}
        self._used: dict[str, PodKey] = {}
        self._next = 0

    def of(self, pod: PodKey) -> str:
        """Return the address of `pod`, a new one if it has none; with all in use the next one is used twice."""
        known = self._by_pod.get(pod)
        if known is not None:
            return known
        address = ""
        for _ in range(_ADDRESSES):
            address = f"{NETWORK}.{self._next // 254}.{self._next % 254 + 1}"
            self._next = (self._next + 1) % _ADDRESSES
            if address not in self._used:
                break
        self._take(pod, address)
        return address

    def keep(self, pod: Pod) -> None:
        """Leave to `pod` the address that its status tells."""
        if pod.key in self._by_pod or pod.phase != "Running":
            return
        address = (pod.document().get("status") or {}).get("podIP")
        if isinstance(address, str) and address.startswith(f"{NETWORK}."):
            self._take(pod.key, address)

    def release(self, pod: PodKey) -> None:
        """Take back the address of a pod that is gone."""
        address = self._by_pod.pop(pod, None)
        if address is not None and self._used.get(address) == pod:
            del self._used[address]

    def _take(self, pod: PodKey, address: str) -> None:
        self._by_pod[pod] = address
        self._used[address] = pod
