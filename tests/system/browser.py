"""What does a visitor's program do? One keep-alive connection, one cookie jar, forms posted as a browser posts them."""

from __future__ import annotations

import gzip
import re
import select
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from http.cookies import SimpleCookie
from types import TracebackType
from typing import Self
from urllib.parse import urlencode, urljoin, urlsplit

TIMEOUT = 30.0
"""Seconds a socket may be silent; only a broken server takes them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One response, read to its end."""

    status: int
    headers: Message
    body: bytes
    url: str

    @property
    def text(self) -> str:
        """Return the body as text, decompressed where need be."""
        raw = gzip.decompress(self.body) if self.headers.get("Content-Encoding") == "gzip" else self.body
        return raw.decode()

    @property
    def cache_status(self) -> list[str]:
        """Return the parts of Cache-Status: the cache's name and its parameters; empty when there is none."""
        return [part.strip() for part in self.headers.get("Cache-Status", "").split(";") if part.strip()]

    @property
    def is_hit(self) -> bool:
        """Tell whether the proxy answered without asking the origin."""
        return self.cache_status[:2] == ["sitecache", "hit"]

    @property
    def is_stored(self) -> bool:
        """Tell whether the proxy says that it stored this response."""
        return "stored" in self.cache_status

    @property
    def csrf_token(self) -> str:
        """Return the token in the form on this page."""
        found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.text)
        assert found, self.text
        return found[1]


class Browser:
    """One visitor."""

    def __init__(self, port: int, language: str = "en") -> None:
        self.port = port
        self.cookies: dict[str, str] = {}
        self._standing = {"Accept-Language": language, "User-Agent": "test browser", "Accept": "text/html"}
        self._connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()

    @property
    def origin(self) -> str:
        """Return what stands before every path."""
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        """Ask for a page without following redirects."""
        return self._read(self.open(path, headers, method), path)

    def follow(self, answer: Answer) -> Answer:
        """Go where a redirect points."""
        assert answer.status in {301, 302, 303, 307, 308}, (answer.status, answer.text)
        where = urlsplit(urljoin(answer.url, answer.headers["Location"]))
        assert where.netloc == f"127.0.0.1:{self.port}", answer.headers["Location"]
        return self.get(where.path + (f"?{where.query}" if where.query else ""))

    def post(self, path: str, form: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Answer:
        """Post a form without following redirects."""
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": self.origin}
        sent = {**kind, "Referer": self.origin + path, **(headers or {})}
        return self._read(self.open(path, sent, "POST", urlencode(form).encode()), path)

    def submit(self, path: str, form: Mapping[str, str]) -> Answer:
        """Open the page with a form, fill it in, token and all, and post it."""
        token = self.get(path).csrf_token
        return self.post(path, {"csrfmiddlewaretoken": token, **form})

    def log_in(self, name: str) -> Answer:
        """Log in as one of the users of the test site."""
        answer = self.submit("/accounts/login/", {"username": name, "password": f"{name}-password"})
        assert answer.status == 302, answer.text
        return answer

    def log_out(self) -> Answer:
        """Log out by the form Django asks for."""
        token = self.get("/accounts/login/").csrf_token
        return self.post("/accounts/logout/", {"csrfmiddlewaretoken": token})

    def open(
        self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET", body: bytes | None = None
    ) -> HTTPResponse:
        """Send a request and return the response as soon as its head is here; the caller reads it."""
        self._reconnect_if_closed()
        sent = {**self._standing, **(headers or {})}
        if self.cookies and "Cookie" not in sent:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        self._connection.request(method, path, body, sent)
        response = self._connection.getresponse()
        self._keep_cookies(response)
        return response

    def _read(self, response: HTTPResponse, path: str) -> Answer:
        with response:
            return Answer(response.status, response.headers, response.read(), self.origin + path)

    def _reconnect_if_closed(self) -> None:
        """A server may close an idle connection at any time: bytes or an end before we asked mean that it did."""
        if self._connection.sock is not None and select.select([self._connection.sock], [], [], 0)[0]:
            self._connection.close()

    def _keep_cookies(self, response: HTTPResponse) -> None:
        for line in response.headers.get_all("Set-Cookie", []):
            for name, morsel in SimpleCookie(line).items():
                if morsel["max-age"] == "0" or not morsel.value:
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
