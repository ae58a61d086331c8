"""The page in a real browser, before a real cluster: what it shows is what the API says, and what can be done there."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.web.browsing import browsing
from tests.web.house import House, claim, living, volume
from tools.browser import Browser, Tab
from tools.png import read

from pvbinder.web.page import LivePage
from pvbinder.web.plane import source_of

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.slow]

SCALE = 0.5  # of the pictures: they are read pixel by pixel
COLOURS_MIN = 12  # an empty part has one or two, a line of text dozens
CHOSEN = "document.querySelector('.row.chosen')?.id"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(browser: Browser) -> AsyncIterator[House]:
    async with living(browser) as found:
        yield found


def shown(kind: str) -> str:
    return f"[...document.querySelectorAll('[data-kind={kind}] .row:not(.missing)')].map((row) => row.id.slice(4))"


async def choose(tab: Tab, row: str) -> None:
    await tab.click(f"[id='row:{row}']")
    await tab.until(f"{CHOSEN} === 'row:{row}'")


async def test_what_is_shown_is_what_the_api_says(house: House) -> None:
    tab = await house.tab()
    await tab.until("document.querySelector('[id=\"row:claim/default/reports\"] .state').innerText === 'Bound'")
    for kind in ("class", "volume", "claim", "pod", "node"):
        assert set(await tab.run(shown(kind))) == await house.names(kind), kind
    states = dict(zip(await tab.run(shown("volume")), await tab.texts("[data-kind=volume] .row .state"), strict=True))
    assert states == {"volume/disk-1": "Available", "volume/disk-5": "Bound", "volume/disk-20": "Available"}
    assert await tab.texts("[data-kind=class] .row.missing .name") == ["tape"], "a claim names it, and it isn't there"
    levels = await tab.texts("[data-kind=claim] .group-head .words")
    assert levels == sorted(levels, key=["needs somebody", "waiting", "fine", "idle"].index), "worst first"
    assert await tab.run("document.querySelectorAll('.links path').length") > 3

    # live: a volume comes, and the claim that waits for it is bound; then both go
    await house.create(claim("late", "7Gi", "later"))
    await tab.until("document.querySelector('[id=\"row:claim/default/late\"] .state').innerText === 'Pending'")
    await house.create(volume("late-disk", "8Gi", "later"))
    await tab.until("document.querySelector('[id=\"row:claim/default/late\"] .state').innerText === 'Bound'")
    await tab.until("/claim default.late is Bound/.test(document.querySelector('[role=status]').innerText)")  # aloud
    await house.delete("claim", "late", "default")
    await tab.until("!document.querySelector('[id=\"row:claim/default/late\"]:not(.missing)')")
    await tab.until("document.querySelector('[id=\"row:volume/late-disk\"] .state').innerText === 'Released'")
    await house.delete("volume", "late-disk")
    await tab.until("!document.querySelector('[id=\"row:volume/late-disk\"]')")
    no_complaints(tab, house)


async def test_the_drawer_is_explain_in_its_very_words(house: House) -> None:
    tab = await house.tab()
    await choose(tab, "claim/default/archive")
    await tab.press("Enter")
    await tab.until("document.querySelector('.drawer .lead')")
    printed = await explain(house, "archive")
    summary = printed.splitlines()[0].partition(": ")[2].partition("   (")[0]
    assert summary in (await tab.texts(".drawer .lead"))[0].replace("\n", " ")
    await tab.run("document.querySelector('.drawer .lead .rule').click()")
    rule = (await tab.texts(".drawer .lead .rule"))[0]
    assert (await tab.until("document.querySelector('.rule-text')?.innerText")).startswith(rule)
    await tab.run("document.getElementById('tab:text').click()")
    assert await tab.until("document.querySelector('.explain-text')?.textContent.trimEnd()") == printed
    # live: a volume that fits better changes what explain says
    await house.create(volume("disk-40", "40Gi"))
    await tab.until("document.querySelector('.explain-text').textContent.includes('disk-40')")
    text = await tab.run("document.querySelector('.explain-text').textContent.trimEnd()")
    assert text == await explain(house, "archive")
    await house.delete("volume", "disk-40")
    await tab.press("Escape")
    await tab.until("!document.querySelector('.drawer')")
    assert await tab.run("document.activeElement.getAttribute('role')") == "listbox", "the keyboard is back in the list"
    no_complaints(tab, house)


async def test_a_walk_with_the_keyboard_alone(house: House) -> None:
    tab = await house.tab()
    await tab.until("document.querySelector('[id=\"row:claim/default/reports\"] .state').innerText === 'Bound'")
    await tab.press("/")
    assert await tab.run("document.activeElement.id") == "search"
    await tab.type("reports")
    await tab.until(f"{shown('claim')}.length === 1")
    await tab.press("Enter")
    await tab.until(f"{CHOSEN} === 'row:claim/default/reports'")
    await tab.press("0")
    await tab.until(f"{shown('claim')}.length === 3")
    await tab.press("ArrowLeft")
    await tab.until(f"{CHOSEN} === 'row:volume/disk-5'")
    await tab.press("ArrowLeft")
    await tab.until(f"{CHOSEN} === 'row:class/manual'")
    await tab.press("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight")
    await tab.until(f"{CHOSEN} === 'row:node/n1'")
    linked = await tab.run("[...document.querySelectorAll('.group.linked .row')].map((row) => row.id.slice(4))")
    assert set(linked) == {"class/manual", "volume/disk-5", "claim/default/reports", "pod/default/printer"}
    assert await tab.run("document.querySelectorAll('.links .focused').length") >= 3
    active = await tab.run("document.activeElement.getAttribute('aria-activedescendant')")
    assert active == "row:node/n1", "a screen reader follows"
    await tab.press("ArrowLeft", "ArrowLeft", "ArrowUp", "ArrowDown", "Enter")
    await tab.until("document.querySelector('.drawer')")
    await tab.press("Escape", "Escape")
    await tab.until("!document.querySelector('.row.chosen')")
    await tab.press("?")
    await tab.until("document.querySelector('dialog[open]')")
    await tab.press("Escape")
    await tab.until("!document.querySelector('dialog')")
    no_complaints(tab, house)


async def test_an_address_restores_the_view_and_back_leads_back(house: House) -> None:
    tab = await house.tab()
    await choose(tab, "claim/default/archive")
    await tab.press("Enter")
    await tab.until("document.querySelector('.drawer')")
    await choose(tab, "volume/disk-20")
    await tab.until("document.querySelector('.drawer h2').innerText === 'disk-20'")
    await tab.run("history.back()")
    await tab.until("document.querySelector('.drawer h2').innerText.endsWith('archive')")
    await tab.run("history.forward()")
    await tab.until("document.querySelector('.drawer h2').innerText === 'disk-20'")
    await tab.run("document.querySelector('.chip.idle').click()")
    await tab.until("location.hash.includes('level=idle')")
    address = await tab.run("location.href")
    await tab.go("about:blank")
    await tab.go(address)
    await tab.until("document.querySelector('.drawer h2')?.innerText === 'disk-20'")
    assert await tab.run("document.querySelector('.chip.idle').getAttribute('aria-pressed')") == "true"
    await tab.until(f'JSON.stringify({shown("volume")}) === \'["volume/disk-1","volume/disk-20"]\'')
    no_complaints(tab, house)


async def test_light_dark_and_a_phone(house: House) -> None:
    tab = await house.tab()
    await choose(tab, "claim/default/archive")
    await tab.press("Enter")
    await tab.until("document.querySelector('.drawer .lead')")
    light = read(await tab.picture(SCALE))
    assert (light.width, light.height) == (640, 400)
    regions = {
        "head": (0, 0, 640, 45),
        "classes": (10, 50, 55, 125),
        "volumes": (72, 50, 80, 125),
        "claims": (160, 50, 95, 125),
        "drawer": (418, 50, 220, 200),
        "time": (0, 345, 640, 55),
    }
    for name, region in regions.items():
        assert light.colours(*region) > COLOURS_MIN, f"{name} is empty"
    assert light.brightness() > 200
    await tab.colours("dark")
    dark = read(await tab.picture(SCALE))
    assert dark.brightness() < 60
    for name, region in regions.items():
        assert dark.colours(*region) > COLOURS_MIN, f"{name} is empty in the dark"
    await tab.press("Escape", "t")  # light, chosen and remembered
    await tab.until("document.documentElement.dataset.theme === 'light'")
    await tab.call("Page.reload")
    await tab.until(
        "document.documentElement.dataset.theme === 'light' && document.querySelectorAll('.row').length > 5"
    )
    await tab.press("Escape")

    await tab.size(390, 844, is_phone=True)
    await tab.until("document.querySelector('.column-tabs').clientHeight > 20")
    await tab.run("document.querySelectorAll('.column-tabs button')[1].click()")
    await tab.until("Math.abs(document.querySelector('[data-kind=volume]').getBoundingClientRect().left) < 2")
    assert await tab.run("document.documentElement.scrollWidth") == 390, "nothing sticks out"
    await choose_by_touch(tab, "volume/disk-20")
    await tab.until("document.querySelector('.drawer')?.getBoundingClientRect().width === 390")
    phone = read(await tab.picture(SCALE))
    assert phone.colours(0, 0, 195, 200) > COLOURS_MIN
    await tab.click(".drawer .close")
    await tab.until("!document.querySelector('.drawer')")
    no_complaints(tab, house)


async def test_a_server_that_is_gone_and_a_session_that_ended_are_said(house: House) -> None:
    async with LivePage(source_of(house.plane)) as page:
        port = int(page.url.rstrip("/").rpartition(":")[2])
        tab = await house.tab(page)
    await tab.until("document.querySelector('[role=alert]')?.innerText.includes('No connection')")
    assert await tab.run("document.querySelectorAll('.row').length") > 5, "what is old stays to be seen"
    async with LivePage(source_of(house.plane), port=port):
        await tab.run("document.querySelector('[role=alert] button').click()")
        await tab.until("document.querySelector('[role=alert]').innerText.includes('session has ended')")
        assert "press Enter" in await tab.run("document.querySelector('[role=alert]').innerText"), "how to get a link"


async def test_everything_has_a_role_and_a_name(house: House) -> None:
    tab = await house.tab()
    await choose(tab, "claim/default/archive")
    await tab.press("Enter")
    await tab.until("document.querySelector('.drawer .lead')")
    tree = (await tab.call("Accessibility.getFullAXTree"))["nodes"]
    found = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node.get("ignored")]
    acting = {"button", "combobox", "searchbox", "listbox", "option", "slider", "tab", "textbox", "complementary"}
    assert not [role for role, name in found if role in acting and not name], "something that acts has no name"
    names = {role: [name for each, name in found if each == role] for role in acting | {"heading", "status"}}
    assert [name.split(",")[0] for name in names["listbox"]] == ["Classes", "Volumes", "Claims", "Pods", "Nodes"]
    assert "default/archive, Pending, " in " ".join(names["option"]), "a row says its state and level in words"
    assert "claim default/archive" in names["complementary"]
    assert names["status"], "there is a place where changes are said"


async def test_the_past_is_shown_and_replayed(house: House) -> None:
    tab = await house.tab()
    reports = "document.querySelector('[id=\"row:claim/default/reports\"] .state')?.innerText"
    await tab.until(f"{reports} === 'Bound' && document.querySelector('.timebar:not(.without)')")
    await choose(tab, "claim/default/reports")
    await tab.press("Enter")
    await tab.until("document.querySelector('.drawer .lead')")
    await tab.run("document.getElementById('tab:history').click()")
    line = "[...document.querySelectorAll('.history button')].find((each) => each.innerText.includes('SC-U3'))"
    await tab.until(f"((found) => found && (found.click(), true))({line})")
    await tab.until("location.hash.includes('at=')")
    assert await tab.run(reports) == "Bound", "just after it"
    await tab.press("d")
    await tab.until("document.querySelector('.decision.chosen')?.innerText.includes('SC-U3')")
    assert "SC-U3" in await tab.run("document.querySelector('.scrubber').getAttribute('aria-valuetext')")
    assert "Bound" in await tab.run("document.querySelector('.decision-detail').innerText"), "before and after"
    address = await tab.run("location.href")
    await tab.press(",")
    await tab.until(f"{reports} === 'Pending'")
    assert await tab.run("document.querySelector('.live').getAttribute('aria-pressed')") == "false"
    await house.create(claim("tonight", "1Gi", "later"))  # what happens meanwhile is not of this moment
    await tab.until("document.querySelectorAll('.decision').length > 0")
    await tab.run("document.querySelector('.scrubber').focus()")
    await tab.press("Home")
    await tab.until(
        "document.querySelector('[data-kind=claim] .empty')?.innerText.includes('no claims at this moment')"
    )
    await tab.run("(() => { const choice = document.querySelector('.time-controls select'); choice.value = '16';"
                  " choice.dispatchEvent(new Event('change')); })()")  # fmt: skip
    await tab.press("p")
    await tab.until("document.querySelector('.live').getAttribute('aria-pressed') === 'true'")
    await tab.until(f"{reports} === 'Bound' && document.querySelector('[id=\"row:claim/default/tonight\"]')")
    await house.delete("claim", "tonight", "default")
    await tab.go("about:blank")
    await tab.go(address)
    await tab.until(f"{reports} === 'Bound' && !document.querySelector('.live.on')")
    no_complaints(tab, house)


async def test_what_if_is_answered_as_plan_does(house: House) -> None:
    tab = await house.tab()
    await tab.press("w")
    await tab.until("document.activeElement?.id === 'manifests'")
    await tab.type("kind: [")
    await tab.click(".ask-plan .primary")
    assert await tab.until("document.querySelector('.ask-plan .problem')?.innerText"), "what is wrong with it"
    manifest = json.dumps(claim("tomorrow", "15Gi"))
    await tab.run("document.getElementById('manifests').select()")
    await tab.type(manifest)
    await tab.click(".ask-plan .primary")
    await tab.until("document.querySelector('.answer .lead')")
    assert "disk-20" in await tab.run("document.querySelector('.answer').innerText")
    await tab.run("document.querySelector('.answer-head .quiet-text').click()")
    text = await tab.until("document.querySelector('.plan-text')?.textContent.trimEnd()")
    assert text == await printed_by(house, "plan", "-f", "-", text=manifest)
    assert "claim/default/tomorrow" not in await house.names("claim"), "nothing was written"
    tab.complaints[:] = [each for each in tab.complaints if "400" not in each]  # the browser tells of the bad YAML
    no_complaints(tab, house)


async def choose_by_touch(tab: Tab, row: str) -> None:
    box = await tab.run(
        f"(() => {{ const box = document.getElementById('row:{row}').getBoundingClientRect();"
        " return [box.left + 60, box.top + 20]; })()"
    )
    await tab.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": box[0], "y": box[1]}])
    await tab.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


async def explain(house: House, name: str) -> str:
    return await printed_by(house, "explain", "pvc", name, "-n", "default")


async def printed_by(house: House, *words: str, text: str = "") -> str:
    command = [sys.executable, "-m", "pvbinder", *words, "--kubeconfig", str(house.plane.kubeconfig)]
    pipe = asyncio.subprocess.PIPE
    wide = os.environ | {"COLUMNS": "120"}  # the page's text is as wide as plan's may be
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=wide)
    out, _ = await process.communicate(text.encode())
    return out.decode().rstrip("\n")


def no_complaints(tab: Tab, house: House) -> None:
    assert tab.complaints == []
    outside = [url for url in tab.requested if not url.startswith((house.page.url, "about:", "data:"))]
    assert outside == [], json.dumps(outside)
