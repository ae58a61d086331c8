"""Links that work once, and sessions."""

from __future__ import annotations

from pvbinder.web.sessions import LINK_SECONDS, LINKS_MAX, SESSIONS_MAX, Sessions


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_session_1_a_link_works_once_and_for_a_while() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    first, second = sessions.invite(), sessions.invite()
    assert first != second
    assert len(first) >= 43, "256 bits as base64"

    secret = sessions.enter(first)

    assert secret is not None
    assert sessions.knows(secret)
    assert sessions.enter(first) is None
    clock.now += LINK_SECONDS
    assert sessions.enter(second) is None
    assert sessions.knows(secret), "a session goes on"


def test_session_1_what_is_no_link_opens_nothing() -> None:
    sessions = Sessions(Clock())
    token = sessions.invite()
    for wrong in ("", token[:-1], token + "x", "é" * 43, "\udcff", "x" * 10_000):
        assert sessions.enter(wrong) is None
        assert not sessions.knows(wrong)
    assert not sessions.knows(token), "a link is no session"
    assert sessions.enter(token) is not None


def test_session_2_memory_holds_no_secret() -> None:
    sessions = Sessions(Clock())
    token = sessions.invite()
    secret = sessions.enter(sessions.invite())
    assert secret is not None
    kept = repr(vars(sessions))
    assert token not in kept
    assert secret not in kept


def test_session_3_the_oldest_end() -> None:
    sessions = Sessions(Clock())
    links = [sessions.invite() for _ in range(LINKS_MAX + 1)]
    assert sessions.enter(links[0]) is None
    secrets = [sessions.enter(sessions.invite()) or "" for _ in range(SESSIONS_MAX + 1)]
    assert [sessions.knows(secret) for secret in secrets] == [False] + [True] * SESSIONS_MAX
