"""What does each page of the demo show, and what does it tell caches?

Most pages say `max-age=0, s-maxage=N`: the visitor's browser asks every time, so that one sees the proxy at work.
"""

from __future__ import annotations

import hashlib
import time as clock
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.middleware.locale import LocaleMiddleware
from django.shortcuts import render
from django.utils.decorators import decorator_from_middleware
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.views.decorators.cache import cache_control, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import etag
from django.views.decorators.vary import vary_on_cookie

from demo.words import CACHE_STATUS, GREETINGS

View = Callable[[HttpRequest], HttpResponse]

SLOW = 1.0
"""Seconds the slow page takes."""
STARTED = datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the table of contents."""

    path: str
    short: str
    title: str
    teaser: str


CONTENTS = (
    Page("/time/", "Time", "A page that says nothing", "No word about caching: the proxy's own lifetime counts."),
    Page("/slow/", "Slow", "A slow page", "One second to make, once. Then the proxy has it."),
    Page("/validators/", "ETag", "Lifetime and validator", "Fresh for ten seconds, then asked for by its ETag."),
    Page("/visitor/", "Visitor", "A page for each visitor", "A counter in the session; kept apart by cookie."),
    Page("/guestbook/", "Guestbook", "A guestbook", "A form with a CSRF token, and what a POST makes invalid."),
    Page("/language/", "Languages", "Three languages", "One address, three pages, and none is mixed up."),
    Page("/picture/", "Picture", "A picture", "A file with a long lifetime, kept by browser and proxy."),
    Page("/never/", "Never", "A page nobody keeps", "no-store means what it says."),
)

_ENTRIES: deque[dict[str, str]] = deque(
    [{"name": "The demo", "text": "Sign here. Entries are gone when the demo ends.", "when": f"{STARTED:%H:%M:%S}"}],
    maxlen=50,
)


def shared_for(seconds: int) -> Callable[[View], View]:
    """Let shared caches keep a page, and browsers ask for it every time."""
    return cache_control(max_age=0, s_maxage=seconds)


def show(request: HttpRequest, template: str, **context: object) -> HttpResponse:
    """Render a page with what all of them show: when it was made, and the table of contents."""
    made = f"{datetime.now(UTC):%H:%M:%S.%f}"[:-3]
    here = next((page for page in CONTENTS if request.path.startswith(page.path)), None)
    return render(request, f"demo/{template}.html", {"made": made, "contents": CONTENTS, "here": here, **context})


@shared_for(30)
def home(request: HttpRequest) -> HttpResponse:
    """The table of contents."""
    return show(request, "home")


def time(request: HttpRequest) -> HttpResponse:
    """A page without a word about caching."""
    return show(request, "time")


@shared_for(20)
def slow(request: HttpRequest) -> HttpResponse:
    """A page that takes a second, as a page with many queries does."""
    clock.sleep(SLOW)
    return show(request, "slow")


@cache_control(max_age=10)
@etag(lambda _request: f'"{STARTED.timestamp():.0f}"')
def validators(request: HttpRequest) -> HttpResponse:
    """A page with a lifetime and an ETag; its content changes when the demo is started anew."""
    return show(request, "validators")


@csrf_exempt  # the worst a forged request can do here is to count one more
@shared_for(60)
def visitor(request: HttpRequest) -> HttpResponse:
    """A counter in the session; reading the session makes Django say `Vary: Cookie`."""
    if request.method == "POST":
        request.session["count"] = request.session.get("count", 0) + 1
        return HttpResponseRedirect(request.path)
    return show(request, "visitor", count=request.session.get("count", 0))


@shared_for(300)
def guestbook(request: HttpRequest) -> HttpResponse:
    """What visitors wrote; the same for all, and without a token, so it can be stored."""
    return show(request, "guestbook", entries=reversed(_ENTRIES))


def sign(request: HttpRequest) -> HttpResponse:
    """The form: its token belongs to one visitor, and comes with a cookie."""
    if request.method == "POST":
        name, text = (request.POST.get(field, "").strip()[:200] for field in ("name", "text"))
        if text:
            _ENTRIES.append({"name": name or "Somebody", "text": text, "when": f"{datetime.now(UTC):%H:%M:%S}"})
        return HttpResponseRedirect("/guestbook/")
    return show(request, "sign")


@shared_for(60)
@vary_on_cookie
@decorator_from_middleware(LocaleMiddleware)
def language(request: HttpRequest) -> HttpResponse:
    """One page in the visitor's language: that of the cookie, else that of Accept-Language."""
    code = get_language()
    today = date_format(datetime.now(UTC), "DATE_FORMAT")
    return show(request, "language", code=code, today=today, greeting=GREETINGS[code])


@shared_for(60)
def picture(request: HttpRequest) -> HttpResponse:
    """The page around the picture."""
    return show(request, "picture")


@cache_control(max_age=3600, public=True)
def picture_svg(_request: HttpRequest) -> HttpResponse:
    """A file as a web server sends it: a length, a validator and a long lifetime."""
    drawing = _draw(f"drawn {datetime.now(UTC):%H:%M:%S} UTC").encode()
    response = HttpResponse(drawing, content_type="image/svg+xml")
    response["ETag"] = f'"{hashlib.sha256(drawing).hexdigest()[:16]}"'
    return response


@never_cache
def never(request: HttpRequest) -> HttpResponse:
    """A page that no cache keeps."""
    return show(request, "never")


@shared_for(3600)
def cache_status(request: HttpRequest) -> HttpResponse:
    """What the words in Cache-Status mean."""
    return show(request, "cache_status", groups=CACHE_STATUS)


@cache_control(max_age=86400)
def favicon(_request: HttpRequest) -> HttpResponse:
    """No icon, and no need to ask again today."""
    return HttpResponse(status=204)


def _draw(text: str) -> str:
    """Draw stored responses on a shelf, with a line of text below."""
    heights = (96, 128, 72, 150, 110, 84, 138, 64, 120, 100, 146, 76)
    books = "".join(
        f'<rect x="{40 + 46 * place}" y="{190 - height}" width="38" height="{height}" rx="4" '
        f'fill="hsl({175 + place * 9} 55% {42 + place % 3 * 8}%)"/>'
        for place, height in enumerate(heights)
    )
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 632 260" role="img" aria-label="A shelf of stored pages">'
        '<rect width="632" height="260" rx="12" fill="#10212b"/>'
        f'{books}<rect x="28" y="190" width="576" height="8" rx="3" fill="#c9a26b"/>'
        f'<text x="316" y="234" fill="#dfe9ee" font-family="sans-serif" font-size="18" '
        f'text-anchor="middle">{text}</text>'
        "</svg>"
    )
