"""Does every visitor get a page in their language and time zone, from one stored response for each of them?"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.system.browser import Answer, Browser
from tests.system.conftest import Site
from tests.system.processes import start_proxy

Browse = Callable[..., Browser]

CONFIG = """
USE_I18N: true
LANGUAGES:
  - [en, English]
  - [es, Español]
  - [fr, Français]  # of which the site has no translation
LANGUAGE_CODE: en
USE_TZ: true
TIME_ZONE: UTC
timezone_from: cookie:timezone
"""
SPANISH = ["es", "ES", "es-MX", "es-AR,es;q=0.9,en;q=0.8", "en;q=0.5 , es", "de,es;q=0.3", "en;q=0.1,es;q=0.2", "es,"]
ENGLISH = ["en", "en-US,en;q=0.5", "en-GB", "de", "*", "es;q=0.1,en;q=0.2", "garbage!!", "es;;q=1"]


@pytest.fixture(scope="module")
def site(django_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The Django site behind a proxy that knows its languages."""
    file = tmp_path_factory.mktemp("languages") / "site.yaml"
    file.write_text(CONFIG, encoding="utf-8")
    process, port = start_proxy(f"http://127.0.0.1:{django_port}", "--config", str(Path(file)))
    yield Site(port, django_port)
    process.stop()


def language(answer: Answer) -> str:
    """Return the language a page is in, which it says twice."""
    found = re.search(r'lang="([^"]+)".*<p>(\S+)</p><p>', answer.text)
    assert found, (answer.status, answer.text)
    assert found[2] == {"en": "Yes", "es": "Sí"}[found[1]]
    assert answer.headers["Content-Language"] == found[1]
    return found[1]


def test_spellings_of_one_language_share_one_stored_response(site: Site, browse: Browse, name: str) -> None:
    for said in SPANISH:
        assert language(browse(site, language=said).get(f"/lang/{name}/")) == "es"
    assert site.hits(name) == 1
    for said in ENGLISH:
        assert language(browse(site, language=said).get(f"/lang/{name}/")) == "en"
    assert site.hits(name) == 2
    for said in (*SPANISH, *ENGLISH):
        assert browse(site, language=said).get(f"/lang/{name}/").is_hit


def test_the_cookie_wins(site: Site, browse: Browse, name: str) -> None:
    assert language(browse(site, language="es").get(f"/lang/{name}/")) == "es"
    for said in ("es", "de", "en"):
        visitor = browse(site, language=said)
        visitor.cookies["django_language"] = "en"
        assert language(visitor.get(f"/lang/{name}/")) == "en"
    assert site.hits(name) == 2


def test_switching_the_language_on_the_site(site: Site, browse: Browse, name: str) -> None:
    visitor = browse(site)
    token = visitor.get(f"/form/{name}/").csrf_token
    for code in ("es", "en", "es", "en"):
        form = {"csrfmiddlewaretoken": token, "language": code, "next": f"/lang/{name}/"}
        assert language(visitor.follow(visitor.post("/i18n/setlang/", form))) == code


def test_everybody_gets_the_language_that_the_site_itself_gives(site: Site, browse: Browse, name: str) -> None:
    fields = [*SPANISH[:5], *ENGLISH[:4], "fr", "fr, es", "fr-CA, en", "fr;q=0.1, es;q=0.2", ""]
    cookies = [None, "es", "en", "fr", "es-mx", "xx", ""]
    through, direct = browse(site), Browser(site.origin_port)
    with direct:
        for _, said, cookie in itertools.product(range(2), fields, cookies):
            headers = {
                "Accept-Language": said,
                "Cookie": "_ga=1" if cookie is None else f"_ga=1; django_language={cookie}",
            }
            got = language(through.get(f"/lang/{name}/", headers))
            assert got == language(direct.get(f"/lang/{name}-direct/", headers)), headers
    # Those who ask for what the site has not share what they get with those who say just the same.
    assert site.hits(name) < len(fields) * len(cookies)


def test_a_language_in_the_path_is_the_same_for_all(site: Site, browse: Browse, name: str) -> None:
    for said in (*SPANISH, *ENGLISH):
        assert language(browse(site, language=said).get(f"/es/translated/{name}/")) == "es"
    assert site.hits(name) == 1
    assert language(browse(site, language="es").get(f"/en/translated/{name}/")) == "en"
    assert site.hits(name) == 2


def test_the_page_of_a_path_without_its_language_leads_to_it(site: Site, browse: Browse, name: str) -> None:
    for said, code in (("es", "es"), ("en", "en"), ("es-mx", "es")):
        answer = browse(site, language=said).get(f"/translated/{name}/")
        assert answer.headers["Location"] == f"/{code}/translated/{name}/"


def test_vary_tells_other_caches(site: Site, browse: Browse, name: str) -> None:
    said = browse(site).get(f"/lang/{name}/").headers["Vary"]
    assert {part.strip().lower() for part in said.split(",")} == {"accept-language", "cookie"}


def test_a_post_invalidates_every_language(site: Site, browse: Browse, name: str) -> None:
    path = f"/note/{name}/"
    visitors = [browse(site, language=said) for said in ("en", "es", "fr, es")]
    for _ in range(2):
        for visitor in visitors:
            assert "nothing" in visitor.get(path).text
    assert visitors[0].get(path).is_hit
    assert visitors[1].post(path, {"text": "news"}).status == 200
    for visitor in visitors:
        answer = visitor.get(path)
        assert "news" in answer.text
        assert not answer.is_hit


def zone(answer: Answer) -> str:
    """Return the time zone that a page is in."""
    found = re.search(r"zone (\S+)</p>", answer.text)
    assert found, (answer.status, answer.text)
    return found[1]


def in_zone(visitor: Browser, name: str, said: str | None) -> Answer:
    cookie = "_ga=1" if said is None else f"_ga=1; timezone={said}"
    return visitor.get(f"/zone/{name}/", {"Cookie": cookie})


def test_two_zones_are_two_stored_responses(site: Site, browse: Browse, name: str) -> None:
    visitor = browse(site)
    for count, said in ((1, "Europe/Paris"), (2, "America/New_York"), (2, "Europe/Paris"), (2, "America/New_York")):
        assert zone(in_zone(visitor, name, said)) == said
        assert site.hits(name) == count
    assert in_zone(visitor, name, "Europe/Paris").is_hit


def test_an_unknown_zone_is_the_default_and_none_of_its_own(site: Site, browse: Browse, name: str) -> None:
    visitor = browse(site)
    for said in (None, "UTC", "Mars/Olympus", "", "europe/paris", *(f"Zone/{number}" for number in range(20))):
        assert zone(in_zone(visitor, name, said)) == "UTC"
    assert site.hits(name) == 1


def test_zones_and_languages_together(site: Site, browse: Browse, name: str) -> None:
    for _ in range(2):
        for said in ("en", "es"):
            for named in ("Europe/Paris", "UTC"):
                assert zone(in_zone(browse(site, language=said), name, named)) == named
    assert site.hits(name) == 4
