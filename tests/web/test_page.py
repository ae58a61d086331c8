"""The page over real HTTP, asked as it should be and as it should not."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from tests.insight.builders import bound, claim, event, its, storage_class, volume
from tests.web.visitor import Changing, Visitor, source_of, view_of, visiting

from pvbinder.insight.claims import explain_claim
from pvbinder.insight.report_others import report_of
from pvbinder.insight.snapshot import Snapshot
from pvbinder.server.wire.http import ListenError
from pvbinder.web.page import STREAMS_MAX, LivePage


def shop() -> Changing:
    return Changing([view_of(each) for each in (claim(), storage_class(), volume("small", "1Gi"))])


PATHS = ("/", "/api/info", "/api/stream", "/api/explain?kind=claim&namespace=shop&name=orders", "/static/index.html",
         "/api/rule?id=SC-U3", "/nothing")  # fmt: skip


async def test_page_1_nobody_sees_anything_without_a_session() -> None:
    async with visiting(source_of(shop())) as (friend, _):
        stranger = Visitor(friend.port)
        for path in PATHS:
            answer = await stranger.ask(path)
            assert answer.status == 401, path
            assert b"Press Enter" in answer.body
            assert b"orders" not in answer.body
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        stranger.cookie = friend.cookie[:-1]
        assert (await stranger.ask("/")).status == 401
        assert (await friend.ask("/")).status == 200
        assert (await stranger.ask("/api/plan", method="POST", body=b"x")).status == 401


async def test_page_1_a_link_lets_one_in_once() -> None:
    async with visiting(source_of(shop())) as (_, page):
        visitor = Visitor(int(page.url.rstrip("/").rpartition(":")[2]))
        link = page.link()
        assert (await visitor.ask("/" + link.split("/", 3)[3], method="HEAD")).status == 405, "that uses nothing up"
        answer = await visitor.come_in(link)
        assert (answer.status, answer.headers["location"]) == (303, "/")
        assert answer.headers["set-cookie"].endswith("; HttpOnly; SameSite=Strict; Path=/")
        assert (await visitor.ask("/")).status == 200
        again = await Visitor(visitor.port).come_in(link)
        assert again.status == 401
        assert b"used already" in again.body
        assert (await Visitor(visitor.port).come_in(page.link())).status == 303


@pytest.mark.parametrize("cookie", ["", "x", "pvbinder-page-{port}=", 'pvbinder-page-{port}="\\"', "a=b; c[]{{=;;;",
                                    "pvbinder-page-{port}=" + "x" * 9000])  # fmt: skip
async def test_page_1_a_strange_cookie_is_none(cookie: str) -> None:
    async with visiting(source_of(shop())) as (visitor, _):
        visitor.cookie = cookie.format(port=visitor.port)
        assert (await visitor.ask("/api/info")).status == 401


async def test_page_2_it_listens_on_loopback_and_ends_with_its_readers() -> None:
    async with LivePage(source_of(shop())) as page:
        assert page.url.startswith("http://127.0.0.1:")
        visitor = Visitor(int(page.url.rstrip("/").rpartition(":")[2]))
        await visitor.come_in(page.link())
        events = await visitor.stream()
        await events.until("rows")
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 1.5, "an open stream holds up nobody"
    while (await events.next())[0] != "end":
        pass
    with pytest.raises(ConnectionError):
        await visitor.ask("/")
    for writer in visitor.open:
        writer.close()


async def test_page_2_a_port_that_is_taken_is_said() -> None:
    with contextlib.closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ListenError, match="the page can't listen on") as failed:
            async with LivePage(source_of(shop()), port=taken.getsockname()[1]):
                pass
    assert failed.value.hint
    assert "0" in failed.value.hint


async def test_page_3_there_is_nothing_that_writes() -> None:
    async with visiting(source_of(shop())) as (visitor, _):
        for method in ("PUT", "PATCH", "DELETE"):
            assert (await visitor.ask("/api/info", method=method, body=b"{}")).status == 405
        assert (await visitor.ask("/api/info", method="POST", body=b"{}")).status == 404


async def test_page_4_readers_are_bounded() -> None:
    async with visiting(source_of(shop())) as (visitor, _):
        for _ in range(STREAMS_MAX):
            await (await visitor.stream()).until("rows")
        answer = await visitor.ask("/api/stream")
        assert answer.status == 503
        assert "close one" in answer.json()["error"]
        visitor.open[0].close()
        async with asyncio.timeout(10):
            while (await visitor.ask("/api/stream", method="HEAD")).status == 503:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "target",
    ["/static/../page.py", "/static/%2e%2e/page.py", "/static/..%2fpage.py", "/static//etc/passwd",
     "/static/%00index.html", "/static/", "/static/vendor", "/static/index.html%00.js", "/static/./index.html"],
)  # fmt: skip
async def test_answer_2_no_path_leads_out_of_the_folder(target: str) -> None:
    async with visiting(source_of(shop())) as (visitor, _):
        answer = await visitor.ask(target)
        assert answer.status == 404
        assert (await visitor.ask("/static/index.html")).status == 200


async def test_screen_1_and_2_over_the_wire() -> None:
    async with visiting(source_of(shop())) as (visitor, page):
        assert (await visitor.ask("/api/info", host="evil.example")).status == 421
        assert (await visitor.ask("/api/info", without="host")).status in (400, 421)
        assert (await visitor.ask("/api/info", origin="http://evil.example")).status == 403
        link = "/" + page.link().split("/", 3)[3]
        assert (await visitor.ask(link, host=f"evil.example:{visitor.port}")).status == 421
        assert (await visitor.ask(link)).status == 303, "which used nothing up"


async def test_screen_3_a_large_body_is_refused_before_it_comes() -> None:
    async with visiting(source_of(shop())) as (visitor, _):
        answer = await visitor.ask("/api/plan", method="POST", body=b"a: b", content_length=str(2 << 20))
        assert answer.status == 413
        answer = await visitor.ask("/api/plan", method="POST", body=b"", without="content-length",
                                   transfer_encoding="chunked")  # fmt: skip
        assert answer.status == 411


async def test_the_rows_and_their_changes_come_over_the_wire() -> None:
    objects = shop()
    async with visiting(source_of(objects)) as (visitor, _):
        events = await visitor.stream()
        rows = (await events.until("rows"))["rows"]
        assert [row["id"] for row in rows] == ["class/fast", "volume/small", "claim/shop/orders"]
        objects.put(view_of(its()))
        objects.put(view_of(bound()))
        objects.remove("volume", "small")
        change = await events.until("change")
        assert {row["id"]: row["state"] for row in change["rows"]} == {
            "volume/disk": "Bound",
            "claim/shop/orders": "Bound",
        }
        assert change["gone"] == ["volume/small"]


async def test_info_says_what_is_shown() -> None:
    async with visiting(source_of(shop(), missing=["no nodes"], may_write=True)) as (visitor, _):
        info = (await visitor.ask("/api/info")).json()
        assert info["source"] == {"kind": "dump", "name": "test"}
        assert (info["live"], info["mayWrite"], info["missing"]) == (True, True, ["no nodes"])


async def test_asking_1_an_explanation_is_that_of_explain() -> None:
    said = event("ProvisioningFailed", "the disk is full", about="PersistentVolumeClaim/orders")
    documents = [claim(), storage_class(), volume("small", "1Gi")]
    async with visiting(source_of(shop(), [said])) as (visitor, _):
        answer = (await visitor.ask("/api/explain?kind=claim&namespace=shop&name=orders")).json()
    snapshot = Snapshot([*documents, said])
    expected = report_of(explain_claim(view_of(claim()), snapshot), 20)
    assert answer["text"] + "\n" == expected
    assert "the disk is full" in answer["text"]
    assert answer["report"]["reason"] == "ProvisioningFails"


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("kind=claim&namespace=shop&name=gone", 404, "there is no claim shop/gone"),
        ("kind=secret&name=x", 400, "no kind"),
        ("", 400, "no kind"),
        ("kind=claim", 404, "there is no"),
        ("kind=claim&kind=pod&name=x", 400, "no kind"),
    ],
)
async def test_what_isnt_there_is_said(query: str, status: int, words: str) -> None:
    async with visiting(source_of(shop())) as (visitor, _):
        answer = await visitor.ask(f"/api/explain?{query}")
        assert answer.status == status
        assert words in answer.json()["error"]


async def test_every_kind_is_told_of() -> None:
    async with visiting(source_of(shop())) as (visitor, _):
        told = [(await visitor.ask(f"/api/explain?{each}")).json() for each in ("kind=class&name=fast",
                "kind=volume&name=small")]  # fmt: skip
        assert told[0]["text"].startswith("class fast is Immediate")
        assert told[1]["report"]["kind"] == "VolumeExplanation"
        rule = await visitor.ask("/api/rule?id=SC-U3")
        assert rule.json()["text"].startswith("SC-U3")
        assert (await visitor.ask("/api/rule?id=NO-1")).status == 404
