"""The number of writes in flight, on a time of the test's own (WINDOW-1 to WINDOW-4)."""

from __future__ import annotations

from pvbinder.kube.window import FIRST, LATENCY_SECONDS_MAX, LEAST_WHEN_SLOW, MOST, WriteWindow


class Server:
    """A server that needs `seconds_a_write`, one after the other; the window is always full."""

    def __init__(self, window: WriteWindow, seconds_a_write: float) -> None:
        self.window = window
        self.seconds_a_write = seconds_a_write
        self.now = 0.0

    def answer(self, count: int, *, somebody_waits: bool = True) -> None:
        for _ in range(count):
            in_flight = self.window.limit
            self.now += self.seconds_a_write
            latency = self.seconds_a_write * in_flight
            self.window.answered(self.now, latency, in_flight=in_flight, somebody_waits=somebody_waits)


def test_window_1_it_grows_while_the_server_keeps_up() -> None:
    window = WriteWindow()
    Server(window, 0.001).answer(20_000)

    assert window.limit == MOST
    assert (window.cuts, window.slowdowns) == (0, 0)


def test_window_1_it_stays_while_nobody_waits() -> None:
    window = WriteWindow()
    Server(window, 0.001).answer(1000, somebody_waits=False)

    assert window.limit == FIRST


def test_window_2_a_server_that_becomes_slow_is_asked_less_and_later_more_again() -> None:
    window = WriteWindow()
    server = Server(window, 0.001)
    server.answer(3000)
    before = window.limit
    server.seconds_a_write = 0.004
    server.answer(2 * before)
    assert window.limit < before
    server.answer(1000)
    assert LEAST_WHEN_SLOW <= window.limit < before
    assert window.slowdowns
    server.answer(20_000)
    assert window.limit > before


def test_window_2_answers_never_take_longer_than_people_wait() -> None:
    window = WriteWindow()
    server = Server(window, 0.05)
    server.answer(5000)

    assert window.limit * server.seconds_a_write < LATENCY_SECONDS_MAX + 0.3


def test_window_3_a_refusal_halves_it_once_for_all_that_was_in_flight() -> None:
    window = WriteWindow()
    for _ in range(20):
        window.refused(now=2.0, started=1.0)
    assert window.limit == FIRST // 2
    for now in range(3, 20):
        window.refused(now=float(now), started=now - 0.5)
    assert window.limit == 1


def test_window_3_it_grows_again_after_refusals() -> None:
    window = WriteWindow()
    for now in range(10):
        window.refused(now=float(now), started=now - 0.5)
    server = Server(window, 0.001)
    server.answer(8)
    assert window.limit == 5
    server.answer(10_000)
    assert window.limit > FIRST


def test_window_4_retry_after_closes_it_for_a_minute_at_most() -> None:
    window = WriteWindow()
    window.refused(now=10.0, started=9.0, retry_after=3.0)
    window.refused(now=10.0, started=9.0, retry_after=1.0)
    assert (window.closed_for(10.0), window.closed_for(12.0), window.closed_for(14.0)) == (3.0, 1.0, 0.0)
    window.refused(now=20.0, started=19.0, retry_after=3600.0)
    assert window.closed_for(20.0) == 60.0
