"""What does each page of the test site do? Each one counts, under the name in its path, how often it ran."""

from __future__ import annotations

import hashlib
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from zoneinfo import available_timezones

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control, cache_page, never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import etag, require_POST
from django.views.decorators.vary import vary_on_headers

_RUNS: Counter[str] = Counter()
_LOCK = threading.Lock()
_NOTES: dict[str, list[str]] = defaultdict(list)
_POKES: dict[str, threading.Event] = defaultdict(threading.Event)
POKE_LIMIT = 30
"""Seconds until a stream that nobody pokes gives up, so that a broken test does not hold a thread."""


def ran(name: str) -> int:
    """Count one run of a view and return the number of runs under this name."""
    with _LOCK:
        _RUNS[name] += 1
        return _RUNS[name]


@never_cache
def hits(_request: HttpRequest, name: str) -> HttpResponse:
    """How often did the views run under this name?"""
    return HttpResponse(str(_RUNS[name]), content_type="text/plain")


def page(request: HttpRequest, name: str) -> HttpResponse:
    """A page that is the same for everybody and says nothing about caching."""
    return HttpResponse(f"<h1>{name}</h1><p>run {ran(name)}</p><p>query {request.GET.urlencode()}</p>")


def hello(request: HttpRequest, name: str) -> HttpResponse:
    """A page that greets: reading the user makes Django say `Vary: Cookie`."""
    return render(request, "hello.html", {"name": name, "run": ran(name)})


hello_for_a_minute = cache_control(max_age=60)(hello)
hello_private = cache_control(private=True, max_age=60)(hello)
members = login_required(hello)


def hello_undeclared(request: HttpRequest, name: str) -> HttpResponse:
    """A page that greets by a cookie and forgets to say so in Vary."""
    who = request.COOKIES.get("who", "stranger")
    return HttpResponse(f"<p>Hello {who}</p><p>run {ran(name)}</p>")


def lang(request: HttpRequest, name: str) -> HttpResponse:
    """A translated page, with a word from Django's own catalogue."""
    return render(request, "lang.html", {"name": name, "run": ran(name), "word": _("Yes")})


def zone(request: HttpRequest, name: str) -> HttpResponse:
    """A page in the time zone that a cookie names, which it forgets to say in Vary."""
    named = request.COOKIES.get("timezone", "")
    with timezone.override(named if named in available_timezones() else settings.TIME_ZONE):
        return HttpResponse(f"<p>zone {timezone.get_current_timezone_name()}</p><p>run {ran(name)}</p>")


def form(request: HttpRequest, name: str) -> HttpResponse:
    """A form under CSRF protection that keeps what is posted and redirects to itself."""
    ran(name)
    if request.method == "POST":
        _NOTES[name].append(request.POST["text"])
        return HttpResponseRedirect(request.path)
    return render(request, "form.html", {"name": name, "texts": _NOTES[name]})


@csrf_exempt
def note(request: HttpRequest, name: str) -> HttpResponse:
    """A page without session or token that shows what was posted to it last."""
    if request.method == "POST":
        _NOTES[name].append(request.POST["text"])
        return HttpResponse("noted", status=int(request.POST.get("status", "200")))
    run = ran(name)
    said = _NOTES[name][-1] if _NOTES[name] else "nothing"
    return HttpResponse(f"<p>last note: {said}</p><p>run {run}</p>")


def notify(request: HttpRequest, name: str) -> HttpResponse:
    """A POST leaves a message; the page it redirects to shows it once."""
    if request.method == "POST":
        messages.success(request, f"saved {request.POST['text']}")
        return HttpResponseRedirect(request.path)
    return render(request, "notify.html", {"name": name, "run": ran(name)})


def set_cookie(_request: HttpRequest, name: str) -> HttpResponse:
    """A page that gives each visitor a cookie of their own."""
    run = ran(name)
    response = HttpResponse(f"<p>run {run}</p>")
    response.set_cookie("ticket", f"number-{run}")
    return response


set_cookie_public = cache_control(public=True, max_age=60)(set_cookie)
cached_by_django = cache_page(60)(page)
never_cached = never_cache(page)
public = cache_control(public=True, max_age=60)(page)
private = cache_control(private=True, max_age=60)(page)


@vary_on_headers("X-Flavour")
def varied(request: HttpRequest, name: str) -> HttpResponse:
    """A page that depends on a request field and says so."""
    return HttpResponse(f"<p>flavour {request.headers.get('X-Flavour', 'plain')}</p><p>run {ran(name)}</p>")


@cache_control(no_cache=True)
@etag(lambda _request, name: f'"of-{name}"')
def validated(_request: HttpRequest, name: str) -> HttpResponse:
    """A page to be validated on every use; a validation that holds does not run it."""
    return HttpResponse(f"<p>run {ran(name)}</p>")


@gzip_page
def gzipped(_request: HttpRequest, name: str) -> HttpResponse:
    """A page long enough to be compressed for those who accept it."""
    return HttpResponse(f"<p>run {ran(name)}</p>" + "all work and no play " * 500)


def gone(_request: HttpRequest, name: str) -> HttpResponse:
    """A 404 that says nothing about caching."""
    return HttpResponse(f"<p>no such page, run {ran(name)}</p>", status=404)


gone_for_a_minute = cache_control(max_age=60)(gone)


def broken(_request: HttpRequest, name: str) -> HttpResponse:
    """A view with a fault in it."""
    raise RuntimeError(f"{name} was meant to fail, run {ran(name)}")


def stream(_request: HttpRequest, name: str) -> StreamingHttpResponse:
    """A streaming view whose second part is produced only after a poke."""

    def parts() -> Iterator[bytes]:
        yield b"first part\n"
        yield b"second part\n" if _POKES[name].wait(POKE_LIMIT) else b"nobody poked\n"

    ran(name)
    return StreamingHttpResponse(parts(), content_type="text/plain")


@never_cache
def poke(_request: HttpRequest, name: str) -> HttpResponse:
    """Let the stream of this name go on."""
    _POKES[name].set()
    return HttpResponse("poked")


def download(_request: HttpRequest, name: str, file: str) -> FileResponse:
    """A file with its length, as FileResponse sends it."""
    ran(name)
    return FileResponse(open(settings.SITE_DIR / file, "rb"), as_attachment=True)


def download_chunked(_request: HttpRequest, name: str, file: str) -> StreamingHttpResponse:
    """The same file without a length."""

    def parts() -> Iterator[bytes]:
        with open(settings.SITE_DIR / file, "rb") as source:
            while part := source.read(65536):
                yield part

    ran(name)
    return StreamingHttpResponse(parts(), content_type="application/octet-stream")


def ranges(request: HttpRequest, name: str, file: str) -> HttpResponse:
    """A file of which one range can be had."""
    ran(name)
    content = (settings.SITE_DIR / file).read_bytes()
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    response = HttpResponse(content, content_type="application/octet-stream")
    if asked:
        first = int(asked[1]) if asked[1] else len(content) - int(asked[2])
        last = min(int(asked[2]), len(content) - 1) if asked[1] and asked[2] else len(content) - 1
        response = HttpResponse(content[first : last + 1], status=206, content_type="application/octet-stream")
        response["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = f'"{file}"'
    return response


@csrf_exempt
@require_POST
def upload(request: HttpRequest) -> HttpResponse:
    """Say how much was received and what it was."""
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for part in file.chunks():
        digest.update(part)
    return HttpResponse(f"{file.name} {file.size} {digest.hexdigest()}", content_type="text/plain")
