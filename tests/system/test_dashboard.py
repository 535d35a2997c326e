"""Can a person see with the dashboard what the cache does, and why, in a real browser?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.storage.servers import await_that
from tests.system.chromium import DESKTOP, PHONE, Chromium, Tab
from tests.system.processes import PATIENCE, Process, admin_port, start_proxy
from tests.system.scripted import run_proxy, tcp_port

LOOK = (Path(__file__).parent / "looking.js").read_text("utf-8")
TOKEN = "a-token-of-some-length"
COSTLIEST = "document.getElementById('costliest')"


@pytest.fixture
def tab(browser: Chromium) -> Iterator[Tab]:
    with browser.tab() as opened:
        yield opened


@pytest.fixture(scope="module")
def site(django_port: int) -> Iterator[tuple[str, int]]:
    """A proxy before the Django site: the address of its dashboard, and its port."""
    process, port = start_proxy(f"http://127.0.0.1:{django_port}")
    yield f"http://127.0.0.1:{admin_port(process)}/", port
    process.stop()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int, Process]]:
    """A proxy with a token, before an application that is not there."""
    admin = {"listen": "127.0.0.1:0", "token": TOKEN}
    settings = {"listen": "127.0.0.1:0", "upstream": "http://127.0.0.1:1", "admin": admin}
    process = run_proxy(tmp_path_factory.mktemp("guarded"), settings)
    yield f"http://127.0.0.1:{admin_port(process)}/", tcp_port(process), process
    process.stop()


def ask(port: int, path: str, times: int = 1) -> str:
    """Ask for a page so many times, in a browser's language; return what the cache says it did last."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        for _ in range(times):
            connection.putrequest("GET", path, skip_accept_encoding=True)
            connection.putheader("Accept-Language", "en-US,en;q=0.9")
            connection.endheaders()
            response = connection.getresponse()
            response.read()
        return response.headers["Cache-Status"]


def told(address: str, page: str) -> Any:
    with closing(HTTPConnection(address.removeprefix("http://").rstrip("/"), timeout=PATIENCE)) as connection:
        connection.request("GET", f"/{page}")
        return json.loads(connection.getresponse().read())


def show(tab: Tab, address: str, size: tuple[int, int] = DESKTOP, scheme: str = "light") -> None:
    tab.open(address, size, scheme)
    tab.until("!document.getElementById('numbers').hidden && document.querySelector('.big').textContent")


def tile(title: str) -> str:
    found = f"[...document.querySelectorAll('.tile')].find((one) => one.firstChild.textContent === {title!r})"
    return f"{found}.querySelector('.big').textContent"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [pytest.param(DESKTOP, id="desktop"), pytest.param(PHONE, id="phone")])
def test_everybody_can_use_it(tab: Tab, site: tuple[str, int], size: tuple[int, int], scheme: str, name: str) -> None:
    address, port = site
    for path in (f"/page/{name}/", f"/set-cookie/{name}/", f"/broken/{name}/", f"/gone/{name}/" + "x" * 300):
        ask(port, path, times=2)
    show(tab, address, size, scheme)
    tab.until("document.querySelector('#words .badge') && document.querySelector('#cards .card')")
    tab.js(f"{COSTLIEST}.querySelector('td.does button').click()")
    tab.until("document.querySelector('#explained .verdict')")
    tab.js(f"window.looking = {LOOK}")
    assert tab.js("looking.pale()") == []
    assert tab.js("looking.doubled()") == []
    assert tab.js("looking.skippedHeadings()") == []
    assert tab.js("looking.small()") == []
    assert tab.js("document.documentElement.scrollWidth") <= size[0]
    background = tab.js("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(244, 246, 247)") == (scheme == "light")
    nodes = tab.do("Accessibility.getFullAXTree")["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if "role" in node]
    assert {"banner", "navigation", "main", "contentinfo", "status", "table", "rowheader"} <= {
        role for role, _ in named
    }
    operable = {"button", "checkbox", "combobox", "link", "textbox", "progressbar", "table", "region"}
    assert [role for role, name in named if role in operable and not name] == []
    assert tab.problems == []


def test_the_numbers_move_with_requests(tab: Tab, site: tuple[str, int], name: str) -> None:
    address, port = site
    show(tab, address)
    before = told(address, "stats")["requests"]["hits"]
    ask(port, f"/page/{name}/", times=40)
    await_that(lambda: told(address, "stats")["requests"]["hits"] >= before + 39)
    numbers = [tile(title) for title in ("Hit ratio", "A hit takes", "A miss takes")]
    tab.until(" && ".join(f"parseFloat({number}) > 0" for number in numbers))
    tab.until("document.querySelector('.curve').getAttribute('points')")
    busiest = "document.getElementById('busiest').innerText"
    tab.until(f"{busiest}.includes('/page/{name}/') && {busiest}.includes('Served from the cache.')")
    assert tab.problems == []


def test_a_page_that_is_never_stored_says_why_and_what_to_do(tab: Tab, site: tuple[str, int], name: str) -> None:
    address, port = site
    ask(port, f"/set-cookie/{name}/", times=3)
    show(tab, address)
    row = f"[...{COSTLIEST}.querySelectorAll('tbody tr')].find((row) => row.innerText.includes('/{name}/'))"
    tab.js(f"{COSTLIEST}.querySelector('.more button')?.click()")
    tab.until(f"{row}?.querySelector('.badge').textContent === 'set-cookie'")
    remedy = told(address, "reasons")["detail"]["set-cookie"]
    said = tab.js(f"{row}.innerText")
    assert remedy["says"] in said
    assert remedy["do"].replace("`", "") in said
    assert "set-cookie" in tab.js("document.getElementById('words').innerText")
    tab.js(f"{row}.querySelector('button').click()")
    explained = tab.until(
        "document.querySelector('#explained .verdict') && document.getElementById('explained').innerText"
    )
    assert "The application is asked." in explained
    assert "(set-cookie)" in explained
    assert tab.js("document.activeElement.id") == "explain-title"
    assert tab.js("document.getElementById('news').textContent").startswith("The application is asked.")
    assert tab.problems == []


def test_a_request_is_explained_with_the_keyboard_alone(tab: Tab, site: tuple[str, int], name: str) -> None:
    address, port = site
    ask(port, f"/page/{name}/")
    show(tab, address)
    tab.js("document.getElementById('explain-url').focus()")
    tab.write(f"http://127.0.0.1:{port}/page/{name}/?<b>")
    tab.press("Enter")
    tab.until("document.querySelector('#explained .verdict')?.textContent.includes('fwd=uri-miss')")
    tab.js("document.getElementById('explain-url').select()")
    tab.write(f"http://127.0.0.1:{port}/page/{name}/")
    for _ in range(2):
        tab.press("Tab")
    tab.write("X-Of-No-Matter: 1")
    tab.press("Tab")
    tab.press("Space")
    tab.until("document.querySelector('#explained .verdict')?.textContent.includes('sitecache; hit')")
    assert "the one for this request" in tab.js("document.getElementById('explained').innerText")
    assert tab.problems == []


def test_a_page_is_purged_and_everything_only_when_that_is_meant(tab: Tab, site: tuple[str, int], name: str) -> None:
    address, port = site
    path = f"/page/{name}/"
    ask(port, path, times=4)
    show(tab, address)
    mine = f"[...document.querySelectorAll('#busiest tbody tr')].find((row) => row.innerText.includes('{path}'))"
    tab.js("document.querySelector('#busiest .more button')?.click()")
    tab.until(f"{mine} && !{mine}.querySelectorAll('button')[1].click()")
    assert tab.js("[document.getElementById('purge-what').value, document.activeElement.id]") == [
        f"http://127.0.0.1:{port}{path}",
        "purge-go",
    ]
    assert ask(port, path).startswith("sitecache; hit")
    tab.press("Enter")
    assert "Purged: " in tab.until("document.getElementById('purged').innerText")
    assert ask(port, path).startswith("sitecache; fwd=")

    tab.js("document.getElementById('purge-kind').value = 'all'")
    tab.js("document.getElementById('purge-kind').dispatchEvent(new Event('change'))")
    tab.js("document.getElementById('purge-go').focus()")
    tab.press("Enter")
    tab.until("document.getElementById('purge-go').textContent === 'Yes, purge everything'")
    assert ask(port, path).startswith("sitecache; hit")
    tab.press("Enter")
    tab.until("document.getElementById('purged').innerText.includes('everything')")
    assert ask(port, path).startswith("sitecache; fwd=")
    assert tab.problems == []


def test_the_keyboard_goes_through_the_page_in_its_order_and_shows_where_it_is(tab: Tab, site: tuple[str, int]) -> None:
    address, port = site
    ask(port, "/page/keys/")
    show(tab, address)
    tab.until("document.querySelector('td.does button')")
    tab.js(f"window.looking = {LOOK}")
    tab.js("document.getElementById('pause').click(); document.activeElement.blur(); scrollTo(0, 0)")
    stops = []
    while True:
        tab.press("Tab")
        at = tab.js("looking.stop()")
        if at is None or (stops and at["place"] == 0):
            break
        stops.append(at)
        assert len(stops) < 300
    places = [stop["place"] for stop in stops]
    assert places == sorted(set(places))
    assert [stop["name"] for stop in stops if not stop["seen"]] == []
    assert stops[0]["name"] == "Skip to the numbers"
    assert {"explain-url", "explain-method", "explain-fields"} <= {stop["id"] for stop in stops}
    tab.js("document.querySelector('.skip').focus()")
    tab.press("Enter")
    assert tab.until("document.activeElement.id") == "content"


def test_what_clients_send_stays_text(tab: Tab, site: tuple[str, int]) -> None:
    address, port = site
    hostile = '/page/evil/?"><img/src=x/onerror=document.title=1><script>document.title=1</script>'
    ask(port, hostile, times=3)
    show(tab, address)
    tab.js("document.querySelector('#busiest .more button')?.click()")
    tab.until("document.getElementById('busiest').innerText.includes('<img/src=x/onerror=')")
    tab.js("[...document.querySelectorAll('#busiest button')].find((one) => one.ariaLabel?.includes('<img'))?.click()")
    tab.until("document.querySelector('#explained').innerText")
    assert tab.js("[document.title, document.images.length, document.scripts.length]") == ["sitecache", 1, 1]
    assert tab.problems == []


def test_a_page_that_nobody_sees_asks_for_nothing(tab: Tab, site: tuple[str, int], name: str) -> None:
    address, port = site
    tab.do("Page.addScriptToEvaluateOnNewDocument", source="window.timers = new Map(); " + _COUNT_TIMERS)
    show(tab, address)
    tab.until("timers.size === 1")
    tab.js("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    tab.js("document.dispatchEvent(new Event('visibilitychange'))")
    assert tab.js("timers.size") == 0
    ask(port, f"/page/{name}/", times=5)
    tab.js("Object.defineProperty(document, 'hidden', { value: false, configurable: true })")
    tab.js("document.dispatchEvent(new Event('visibilitychange'))")
    tab.until("timers.size === 1")
    tab.js("document.getElementById('pause').click()")
    assert tab.js("[timers.size, document.getElementById('state').textContent]") == [0, "Paused"]
    tab.js("document.getElementById('pause').click()")
    tab.until("timers.size === 1 && document.getElementById('state').textContent === 'Live'")
    assert tab.problems == []


_COUNT_TIMERS = """{
  const set = setTimeout, clear = clearTimeout;
  window.setTimeout = (act, wait) => {
    if (wait !== 2000) return set(act, wait);
    const id = set(() => { timers.delete(id); act(); }, wait);
    timers.set(id, true);
    return id;
  };
  window.clearTimeout = (id) => { timers.delete(id); clear(id); };
}"""


def test_with_a_token_it_asks_for_it_once(browser: Chromium, tab: Tab, guarded: tuple[str, int, Process]) -> None:
    address, _, _ = guarded
    tab.open(address)
    tab.until("document.activeElement.id === 'token'")
    assert tab.js("document.getElementById('numbers').hidden")
    assert tab.problems == []
    tab.write("another-token-of-some-length")
    tab.press("Enter")
    tab.until("document.getElementById('refused').textContent.includes('not the token')")
    tab.problems.clear()
    tab.write(TOKEN)
    tab.press("Enter")
    tab.until("!document.getElementById('numbers').hidden && document.getElementById('login').hidden")
    show(tab, address)
    assert tab.problems == []
    with browser.tab() as other:
        other.open(address)
        other.until("document.activeElement.id === 'token'")


def test_it_says_what_is_wrong(tab: Tab, guarded: tuple[str, int, Process]) -> None:
    address, port, process = guarded
    ask(port, "/page", times=4)
    tab.open(address)
    tab.until("document.activeElement.id === 'token'")
    tab.write(TOKEN)
    tab.press("Enter")
    wrong = tab.until("document.getElementById('troubles').innerText")
    assert wrong.startswith("The application at 127.0.0.1:1 fails")
    assert tab.js("document.getElementById('news').textContent").count("The application at") <= 1
    assert "upstream-unreachable" in tab.js("document.getElementById('costliest').innerText")
    assert tab.problems == []
    process.stop()
    tab.until("document.getElementById('state').textContent.startsWith('No answer')")
