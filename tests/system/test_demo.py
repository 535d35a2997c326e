"""Does the demo site show what it says it shows?"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator

import pytest

from demo.words import CACHE_STATUS
from proxy.policy.decisions import Detail, ForwardReason
from tests.system.browser import Browser
from tests.system.conftest import Site
from tests.system.processes import Process, start_proxy

Browse = Callable[..., Browser]

PATHS = ["/", "/time/", "/slow/", "/validators/", "/visitor/", "/guestbook/", "/guestbook/sign/", "/language/"]
PATHS += ["/picture/", "/never/", "/cache-status/"]


@pytest.fixture(scope="module")
def demo() -> Iterator[Site]:
    """The demo, started as its users start it, behind a proxy with its defaults."""
    process = Process("demo", [sys.executable, "-m", "demo", "--bind", "127.0.0.1:0"])
    port = int(process.wait_for(r"^demo: ready on http://127\.0\.0\.1:(\d+)$")[1])
    proxy, proxy_port = start_proxy(f"http://127.0.0.1:{port}")
    yield Site(proxy_port, port)
    proxy.stop()
    assert process.stop() == 0


@pytest.mark.parametrize("path", PATHS)
def test_every_page_explains_itself(demo: Site, browse: Browse, path: str) -> None:
    page = browse(demo).get(path)
    assert page.status == 200
    assert "Cache-Status" in page.text
    if path != "/cache-status/":
        assert "What the proxy does with it" in page.text
        said = re.search(r"<pre><code>(.*?)</code></pre>", page.text, re.DOTALL)
        assert said is not None
        names = re.findall(r"^([A-Z][\w-]+):", said[1], re.MULTILINE)
        asked = "/picture.svg" if path == "/picture/" else path
        # Past the proxy: what the page claims is what the site sends.
        fields = Browser(demo.origin_port)
        with fields:
            sent = fields.get(asked).headers
        assert all(name in sent for name in names), (names, sent.keys())


@pytest.mark.parametrize("path", ["/", "/time/", "/slow/", "/validators/", "/guestbook/", "/language/", "/picture.svg"])
def test_pages_for_all_come_from_the_cache(demo: Site, browse: Browse, path: str) -> None:
    query = "?first"
    answers = [browse(demo).get(path + query) for _ in range(2)]
    assert [answer.is_hit for answer in answers] == [False, True]
    assert answers[0].body == answers[1].body


def test_pages_for_nobody_else_do_not(demo: Site, browse: Browse) -> None:
    for path, why in (("/never/", "no-store"), ("/guestbook/sign/", "set-cookie")):
        for _ in range(2):
            assert f"detail={why}" in browse(demo).get(path).cache_status


def test_each_visitor_has_a_counter(demo: Site, browse: Browse) -> None:
    one, other = browse(demo), browse(demo)
    for number in (1, 2):
        assert f'<p class="big">{number}</p>' in one.follow(one.post("/visitor/", {})).text
        assert one.get("/visitor/").is_hit
        assert '<p class="big">0</p>' in other.get("/visitor/").text


def test_signing_the_guestbook_shows_at_once(demo: Site, browse: Browse) -> None:
    reader, writer = browse(demo), browse(demo)
    reader.get("/guestbook/")
    assert reader.get("/guestbook/").is_hit
    answer = writer.submit("/guestbook/sign/", {"name": "Ada", "text": "I was <here>"})
    assert "I was &lt;here&gt;" in writer.follow(answer).text
    assert "I was &lt;here&gt;" in reader.get("/guestbook/").text


def test_languages(demo: Site, browse: Browse) -> None:
    for code, word in (("de", "Schön"), ("es", "gusto"), ("en", "Good")):
        assert word in browse(demo, language=code).get("/language/").text
    switched = browse(demo, language="en")
    assert "gusto" in switched.follow(switched.post("/language/set/", {"language": "es", "next": "/language/"})).text
    assert "Good" in browse(demo, language="en").get("/language/").text


def test_every_word_of_cache_status_is_explained() -> None:
    explained = {words for _heading, rows in CACHE_STATUS for words, _meaning in rows}
    said = {f"detail={detail}" for detail in Detail} | {f"fwd={reason}" for reason in ForwardReason}
    assert said <= explained
    assert {words for words in explained if words.startswith(("detail=", "fwd="))} <= said
