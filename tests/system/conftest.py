"""Which servers do the system tests share? The real Django site, the ASGI application, and a proxy before each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

from tests.system.browser import Browser
from tests.system.chromium import Chromium, chromium
from tests.system.processes import RUNNING, run_once, start_gunicorn, start_proxy, start_uvicorn
from tests.system.storing import STORAGES, Storage


@dataclass(frozen=True, slots=True)
class Site:
    """Where a site is reached, and where its origin is asked what it did."""

    port: int
    origin_port: int

    @property
    def is_proxied(self) -> bool:
        """Tell whether the proxy stands before the site."""
        return self.port != self.origin_port

    def hits(self, name: str) -> int:
        """Return how often the origin ran views under this name, asking it past the proxy."""
        with Browser(self.origin_port) as browser:
            return int(browser.get(f"/hits/{name}/").text)


@pytest.fixture(scope="session")
def django_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the site's database, its users and its files."""
    directory = tmp_path_factory.mktemp("django")
    env = {"DJANGO_SITE_DIR": str(directory)}
    run_once("prepare", [sys.executable, "-m", "tests.sites.django_site.prepare"], env)
    return directory


@pytest.fixture(scope="session")
def django_port(django_files: Path) -> Iterator[int]:
    """The Django site under gunicorn."""
    env = {"DJANGO_SITE_DIR": str(django_files), "DJANGO_SETTINGS_MODULE": "tests.sites.django_site.settings"}
    process, port = start_gunicorn("tests.sites.django_site.wsgi:application", env)
    yield port
    process.stop()


@pytest.fixture(scope="session")
def asgi_port() -> Iterator[int]:
    """The ASGI application under uvicorn."""
    process, port = start_uvicorn("tests.sites.asgi_app:app")
    yield port
    process.stop()


@pytest.fixture(scope="session")
def django_proxy_port(django_port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A proxy before the Django site, with the lifetime of its settings."""
    file = tmp_path_factory.mktemp("django") / "site.yaml"
    file.write_text("CACHE_MIDDLEWARE_SECONDS: 600\n")
    process, port = start_proxy(f"http://127.0.0.1:{django_port}", "--config", str(file))
    yield port
    process.stop()


@pytest.fixture(scope="session")
def asgi_proxy_port(asgi_port: int) -> Iterator[int]:
    """A proxy with its defaults before the ASGI application."""
    process, port = start_proxy(f"http://127.0.0.1:{asgi_port}")
    yield port
    process.stop()


@pytest.fixture(params=["direct", "through"])
def site(request: pytest.FixtureRequest, django_port: int) -> Site:
    """The Django site, reached directly and through the proxy."""
    if request.param == "direct":
        return Site(django_port, django_port)
    return Site(request.getfixturevalue("django_proxy_port"), django_port)


@pytest.fixture
def cached(django_port: int, django_proxy_port: int) -> Site:
    """The Django site through the proxy, for tests that make no sense without one."""
    return Site(django_proxy_port, django_port)


@pytest.fixture(params=["direct", "through"])
def realtime(request: pytest.FixtureRequest, asgi_port: int) -> Site:
    """The ASGI application, reached directly and through the proxy."""
    if request.param == "direct":
        return Site(asgi_port, asgi_port)
    return Site(request.getfixturevalue("asgi_proxy_port"), asgi_port)


@pytest.fixture(scope="session")
def storages() -> Iterator[Callable[[str], Storage]]:
    """Return a storage of a kind that many tests share, each with a KEY_PREFIX of its own."""
    with ExitStack() as stack:
        started: dict[str, Storage] = {}

        def one(kind: str) -> Storage:
            if kind not in started:
                started[kind] = stack.enter_context(STORAGES[kind]())
            return started[kind]

        yield one


@pytest.fixture(scope="session")
def browser() -> Iterator[Chromium]:
    """A real browser; each test has tabs of its own."""
    with chromium() as started:
        yield started


@pytest.fixture
def browse() -> Iterator[Callable[..., Browser]]:
    """Open browsers, each a visitor with a jar of their own; all are closed in the end."""
    with ExitStack() as stack:
        yield lambda site, **options: stack.enter_context(Browser(site.port, **options))


@pytest.fixture
def name() -> str:
    """A name that no other test uses: its pages have never been asked for."""
    return f"t{uuid4().hex[:12]}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the last lines of every running server under a test that failed."""
    report = yield
    if report.failed:
        report.sections += [
            (f"{process.name} ({process.pid})", "\n".join(process.lines()[-60:])) for process in RUNNING
        ]
    return report
