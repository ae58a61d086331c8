"""How long making and deleting volumes takes, across syncs (MT-2 to MT-5)."""

from __future__ import annotations

from pvbinder.controllers.binder.timers import Duration, Timers


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.durations: list[Duration] = []
        self.timers = Timers(lambda: self.now, self.durations.append)


def test_a_timer_runs_from_the_first_operation_to_the_end() -> None:  # MT-3, MT-4
    clock = Clock()
    clock.timers.start("provision", "shop/orders", "csi.example.com")
    clock.now = 5
    clock.timers.start("provision", "shop/orders", "other")
    clock.now = 7
    clock.timers.finish("provision", "shop/orders")
    clock.timers.finish("provision", "shop/orders")
    assert clock.durations == [Duration("provision", "csi.example.com", 7.0)]
    assert not clock.timers.is_running("provision", "shop/orders")


def test_errors_count_only_while_a_timer_runs() -> None:  # MT-5
    clock = Clock()
    clock.timers.fail("delete", "disk")
    clock.timers.start("delete", "disk", "kubernetes.io/host-path")
    clock.timers.fail("delete", "disk")
    assert clock.timers.errors == {("kubernetes.io/host-path", "delete"): 1}
    assert clock.timers.is_running("delete", "disk")


def test_a_dropped_timer_tells_nothing() -> None:  # B-13
    clock = Clock()
    clock.timers.start("provision", "shop/orders", "p")
    clock.timers.drop("provision", "shop/orders")
    clock.timers.finish("provision", "shop/orders")
    assert clock.durations == []
