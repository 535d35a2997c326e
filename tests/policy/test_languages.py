"""Does a request get the language from us that Django gives it?"""

from __future__ import annotations

import pytest
from django.http.cookie import parse_cookie
from django.utils.translation import check_for_language, get_language_from_request
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.policy.languages import ACCEPT_LANGUAGE, AS_SAID, Languages
from tests.policy.making import request
from tests.policy.oracle import HttpRequest, override_settings

SITE = Languages(("en", "es", "de", "pt-BR", "zh-hans"), "en", b"django_language")


@pytest.mark.parametrize(
    ("lines", "target", "expected"),
    [
        pytest.param([], b"/", b"en", id="default"),
        pytest.param(["Accept-Language: es"], b"/", b"es", id="field"),
        pytest.param(["Accept-Language: ES-mx, en;q=0.9"], b"/", b"es", id="more-general"),
        pytest.param(["Accept-Language: de-ch"], b"/", b"de", id="fallback"),
        pytest.param(["Accept-Language: pt"], b"/", b"pt-br", id="sibling"),
        pytest.param(["Accept-Language: zh-CN"], b"/", b"zh-hans", id="chinese"),
        pytest.param(["Accept-Language: en;q=0.5,es;q=0.8 , de;q=0.1"], b"/", b"es", id="preference"),
        pytest.param(["Accept-Language: fr, es"], b"/", b"es", id="the-first-that-there-is"),
        pytest.param(["Accept-Language: fr, *, es"], b"/", b"en", id="star-ends-it"),
        pytest.param(["Accept-Language: es, d€"], b"/", b"en", id="malformed"),
        pytest.param(["Accept-Language: es", "Accept-Language: de;q=0.3"], b"/", b"es", id="two-lines"),
        pytest.param(["Accept-Language: es", "Cookie: a=1; django_language=de"], b"/", b"de", id="cookie-wins"),
        pytest.param(["Accept-Language: es", "Cookie: django_language=fr"], b"/", b"es", id="unknown-cookie"),
        pytest.param(['Cookie: django_language="de"'], b"/", b"de", id="quoted-cookie"),
        pytest.param(["Cookie: django_language=es; django_language=de"], b"/", b"de", id="the-last-cookie"),
        pytest.param(["Cookie: django_language=de"], b"/es/page?a=1", b"es", id="path-wins"),
        pytest.param([], b"/%65s/page", b"es", id="decoded-path"),
        pytest.param([], b"/es-mx", b"es", id="more-general-path"),
        pytest.param([], b"/esp/", b"en", id="no-prefix"),
        pytest.param([], b"/a/es/", b"en", id="first-segment-only"),
    ],
)
def test_the_language_of_a_request(lines: list[str], target: bytes, expected: bytes) -> None:
    lines = [line.encode().decode("latin-1") for line in lines]
    assert SITE.of(request(*lines, target=target)) == expected


def test_a_default_that_is_none_of_the_languages() -> None:
    assert Languages(("es",), "en-US", b"l").of(request()) == b"en-us"
    assert Languages(("en-gb",), "en-us", b"l").of(request()) == b"en-gb"


@pytest.mark.parametrize(
    ("target", "answered", "expected"),
    [
        pytest.param(b"/", None, (ACCEPT_LANGUAGE,), id="negotiated"),
        pytest.param(b"/", b"EN", (ACCEPT_LANGUAGE,), id="as-we-reckon"),
        pytest.param(b"/", b"fr", (ACCEPT_LANGUAGE, AS_SAID), id="otherwise"),
        pytest.param(b"/es/", None, (), id="path"),
        pytest.param(b"/es/", b"es", (), id="path-as-we-reckon"),
        pytest.param(b"/es/", b"en", (ACCEPT_LANGUAGE,), id="the-path-did-not-count"),
        pytest.param(b"/es/", b"fr", (ACCEPT_LANGUAGE, AS_SAID), id="neither"),
    ],
)
def test_what_a_response_varies_by(target: bytes, answered: bytes | None, expected: tuple[bytes, ...]) -> None:
    assert SITE.varied(request(target=target), answered) == expected


LISTS = [
    "en",
    "en-gb",
    "en-au",
    "de",
    "fr",
    "pt",
    "pt-br",
    "es",
    "es-ar",
    "es-mx",
    "zh-hans",
    "zh-hant",
    "sr",
    "sr-latn",
]
assert all(map(check_for_language, LISTS))
OTHERS = ["en-us", "de-ch", "de-ch-1996", "pt-pt", "zh-cn", "zh-tw", "zh-hant-tw", "zh", "sr-latn-rs", "it", "x", "*"]
codes = st.sampled_from([*LISTS, *OTHERS])
spelt = codes.flatmap(lambda code: st.sampled_from([code, code.upper(), code.title()]))
quality = st.sampled_from(["", ";q=1", ";q=0", ";q=0.5", " ; q=0.123", ";Q=0.8", ";q=1.000", ";q=.5", ";q=2", ";q="])
comma = st.sampled_from([",", ", ", " , ", ",,", ", ,", ";"])
headers = st.lists(st.tuples(spelt, quality, comma), max_size=5).map(
    lambda parts: "".join(code + weight + mark for code, weight, mark in parts)
)
accepted = st.one_of(
    headers.map(str.strip),
    headers.map(lambda text: text.rstrip(" ,;")),
    st.text(alphabet="enDE-;q=0.1,* \té", max_size=12).map(str.strip),
    st.sampled_from([f"{'en-' * 200}x", f"es,{'x' * 600}", f"{'a,' * 300}de", "x" * 600]),
)
cookies = st.one_of(
    st.none(),
    spelt.map(lambda code: f"lang={code}"),
    spelt.map(lambda code: f'a=1; lang="{code}"; lang2=de'),
    st.tuples(spelt, spelt).map(lambda both: f"lang={both[0]};lang = {both[1]} "),
    st.text(alphabet='lang=;" \\0145de-', max_size=12).map(str.strip),
    st.just(f"lang={'de-' * 200}"),
)
paths = st.one_of(
    st.just("/"),
    spelt.map(lambda code: f"/{code}/page"),
    spelt.map(lambda code: f"/{code}"),
    st.sampled_from(["/en@x/", "/de-ch-1996-x/", "//de/", "/dé/", "/x/de/"]),
)


def of_django(said: str, cookie: str | None, path: str) -> str:
    asking = HttpRequest()
    asking.path_info = path
    asking.META["HTTP_ACCEPT_LANGUAGE"] = said
    asking.COOKIES = parse_cookie(cookie or "")
    return get_language_from_request(asking, check_path=True)


@given(
    st.lists(st.sampled_from(LISTS), min_size=1, unique=True),
    st.sampled_from([*LISTS, "en-us", "it"]),
    accepted,
    cookies,
    paths,
)
@example(["en", "de"], "en", "de-CH;q=0.5, fr", "lang=x", "/")
@pytest.mark.filterwarnings("ignore")
def test_every_request_has_the_language_that_django_gives_it(
    supported: list[str], default: str, said: str, cookie: str | None, path: str
) -> None:
    languages = Languages(supported, default, b"lang")
    lines = [f"Accept-Language: {said}"] * bool(said) + [f"Cookie: {cookie}"] * (cookie is not None)
    ours = languages.of(request(*lines, target=path.encode()))
    with override_settings(
        LANGUAGES=[(code, code) for code in supported], LANGUAGE_CODE=default, LANGUAGE_COOKIE_NAME="lang"
    ):
        assert ours.decode() == of_django(said, cookie, path).lower()
    assert ours.decode() in {*supported, default}


@given(accepted, cookies)
def test_no_more_languages_than_there_are(said: str, cookie: str | None) -> None:
    lines = [f"Accept-Language: {said}"] * bool(said) + [f"Cookie: {cookie}"] * (cookie is not None)
    assert SITE.negotiated(request(*lines)) in {b"en", b"es", b"de", b"pt-br", b"zh-hans"}
