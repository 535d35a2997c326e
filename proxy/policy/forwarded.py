"""Forwarded (RFC 7239) and the fields beside it: what a trusted proxy says of the scheme and the host."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from proxy.message.fields import Fields
from proxy.message.grammar import members, tokens, unquote

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
#: §4, where no quoted string holds what somebody who splits at every comma or semicolon would take for another pair.
_PAIR = re.compile(rb'(%b)=(%b|"[^",;=\\]*")' % (_TOKEN, _TOKEN))
_ABOUT_CLIENTS = (b"for", b"by")

_SCHEMES = (b"http", b"https")
_VISITOR = re.compile(rb'"scheme"\s*:\s*"(https?)"')
_SWITCH = {b"ssl": b"https", b"on": b"https", b"1": b"https", b"true": b"https", b"https": b"https"}
_OF_WEBSOCKETS = {b"wss": b"https", b"ws": b"http"}
_SWITCHED_OFF = {b"off": b"http", b"0": b"http", b"false": b"http", b"http": b"http"}


def forwarded_in_key(value: bytes) -> tuple[bytes, bool]:
    """Return what of a Forwarded field is in the key, and whether it was written as RFC 7239 §4 says.

    Then it is all but the addresses. Written otherwise it is all there is: servers differ in how they read that.
    """
    kept = []
    for member in value.split(b","):
        pairs = [_PAIR.fullmatch(pair.strip(b" \t")) for pair in member.split(b";") if pair.strip(b" \t")]
        found = [(pair[1].lower(), pair[2]) for pair in pairs if pair is not None]
        if len(found) < len(pairs):
            return value, False
        kept.append(b";".join([b"%b=%b" % pair for pair in found if pair[0] not in _ABOUT_CLIENTS]))
    return b",".join(filter(None, kept)), True


def _last_word(value: bytes) -> bytes:
    """Return the last member of a list: who is nearest to us wrote it. Traefik says wss of WebSockets."""
    word = (tokens(value) or [b""])[-1]
    return _OF_WEBSOCKETS.get(word, word)


def _of_forwarded(value: bytes) -> bytes:
    last = [b"", *members(value)][-1]
    pairs = [pair.partition(b"=") for pair in last.split(b";")]
    found = [unquote(said.strip(b" \t")).lower() for name, _, said in pairs if name.strip(b" \t").lower() == b"proto"]
    return found[-1] if found else b""


def _of_switch(value: bytes) -> bytes:
    word = _last_word(value)
    return _SWITCH.get(word) or _SWITCHED_OFF.get(word, b"")


def _of_visitor(value: bytes) -> bytes:
    found = _VISITOR.search(value)
    return found[1] if found else b""


SCHEME_FIELDS: Mapping[bytes, Callable[[bytes], bytes]] = {
    b"x-forwarded-proto": _last_word,
    b"forwarded": _of_forwarded,
    b"x-forwarded-scheme": _last_word,
    b"x-forwarded-protocol": _of_switch,
    b"x-url-scheme": _last_word,
    b"x-scheme": _last_word,
    b"x-forwarded-ssl": _of_switch,
    b"front-end-https": _of_switch,
    b"x-arr-ssl": lambda value: b"https" if value else b"",
    b"x-appengine-https": _of_switch,
    b"wl-proxy-ssl": _of_switch,
    b"fastly-ssl": _of_switch,
    b"cloudfront-forwarded-proto": _last_word,
    b"cf-visitor": _of_visitor,
}
"""Fields that name the scheme that the client used, the one that counts first; how each is read.

Where they disagree the application may believe another: all of them are in the key.
"""


def scheme_said(fields: Fields) -> bytes | None:
    """Return the scheme that the client used, as the fields of a request say; None where they say nothing usable."""
    index = fields.index
    if SCHEME_FIELDS.keys().isdisjoint(index):
        return None
    for name, read in SCHEME_FIELDS.items():
        if name in index and (scheme := read(index[name])) in _SCHEMES:
            return scheme
    return None


def scheme_field(fields: Fields) -> bytes | None:
    """Return the name of the field that says which scheme the client used."""
    index = fields.index
    return next((name for name, read in SCHEME_FIELDS.items() if name in index and read(index[name]) in _SCHEMES), None)
