"""What of Accept-Encoding and Accept-Language tells variants apart? (RFC 9110 §12.5.3, §12.5.4)"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

from proxy.message.fields import Fields
from proxy.message.grammar import members
from proxy.message.heads import Request
from proxy.policy.stored import StoredResponse

ACCEPT_ENCODING = b"accept-encoding"
ACCEPT_LANGUAGE = b"accept-language"
CODINGS = b"codings:"
"""What begins, among varied fields, the codings of a response that says nothing of Accept-Encoding."""
AS_SENT = b":"
"""What begins, among varied fields, the name of one that counts whole; no field can have such a name."""

#: Longer values are compared as they are: reading them costs more than a variant of their own.
_LONGEST = 250
_WEIGHTED = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9a-z]+)(?:[ \t]*;[ \t]*q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?",
)
_LANGUAGE = re.compile(rb"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")
_FULL = 1000
_NO_IDENTITY = b", identity;q=0"
_ANY = b"*"

Weights = dict[bytes, int]
"""The thousandths of each lower-case name, in the order of the field."""


@dataclass(frozen=True, slots=True)
class Normal:
    """What the operator declared about fields that responses vary by."""

    encodings: tuple[bytes, ...] = ()
    """What the application can produce, the preferred first; empty: not known."""
    languages: tuple[bytes, ...] = ()
    """The same, in lower case."""
    lists: frozenset[bytes] = frozenset()
    """Lower-case names of more fields that are comma lists; ``*`` for all that are not known to be none."""
    language_order: bool = True
    """Of languages that are wanted equally, the first counts (§12.5.4 leaves it to the application)."""
    content_language: bool = False
    """A response in a language answers whoever wants that one most, whatever else they would take."""

    def readings(self) -> dict[bytes, Callable[[Request], bytes | None]]:
        """Return what the values of varied fields stand for, by name."""
        sent = {ACCEPT_ENCODING: _codings, ACCEPT_LANGUAGE: _ranges if self.language_order else _unordered_ranges}
        coding = partial(_best_coding, self.encodings) if self.encodings else _codings
        plain = {name: partial(_value, name, read) for name, read in sent.items()}
        return {
            ACCEPT_ENCODING: partial(_value, ACCEPT_ENCODING, coding),
            ACCEPT_LANGUAGE: partial(_value, ACCEPT_LANGUAGE, self._language),
            **{AS_SENT + name: read for name, read in plain.items()},
        }

    def guards(self, request: Request, response: Fields) -> tuple[bytes, ...]:
        """Return the fields that count whole, for the response is not what they were reckoned to stand for."""
        names = []
        if self.encodings:
            coding = (response.get(b"content-encoding") or b"identity").strip().lower()
            reckoned = _value(ACCEPT_ENCODING, partial(_best_coding, self.encodings), request)
            # Short pages are not compressed for anybody; what a client refuses it is never given.
            if coding != reckoned and (coding != b"identity" or reckoned is None or reckoned.endswith(_NO_IDENTITY)):
                names.append(AS_SENT + ACCEPT_ENCODING)
        if self.languages or self.content_language:
            language = response.get(b"content-language")
            reckoned = _value(ACCEPT_LANGUAGE, self._language, request)
            if language is None and self.languages:
                return tuple(names)
            if language is None or language.lower() != reckoned:
                names.append(AS_SENT + ACCEPT_LANGUAGE)
        return tuple(names)

    def answers_too(self, request: Request, stored: StoredResponse) -> tuple[Request, StoredResponse] | None:
        """Return a request for nothing but the language of a response, and the response as it answers that one."""
        vary = stored.terms.vary
        if not self.content_language or AS_SENT + ACCEPT_LANGUAGE not in vary:
            return None
        language = stored.fields().get(b"content-language")
        if language is None or not _LANGUAGE.fullmatch(language) or self._language(language) != language.lower():
            return None
        fields = [*request.fields.without({ACCEPT_LANGUAGE}), (ACCEPT_LANGUAGE, language)]
        terms = stored.terms.selected_by(tuple(name for name in vary if name != AS_SENT + ACCEPT_LANGUAGE))
        asking = replace(request, fields=Fields(fields))
        extent, tags, number = stored.extent, stored.tags, stored.number
        return asking, StoredResponse(stored.status, stored.head, stored.body, terms, extent, tags, number)

    def is_list(self, name: bytes) -> bool:
        """Tell whether white space around the commas of a field says nothing."""
        return name in _LISTS or name in self.lists or (_ANY in self.lists and name not in _NO_LISTS)

    def _language(self, value: bytes) -> bytes:
        if self.languages:
            return _best_language(self.languages, self.language_order, value)
        said = _ranges(value) if self.language_order else _unordered_ranges(value)
        return _most_wanted(value) or said if self.content_language else said


NOTHING_DECLARED = Normal()

#: RFC 9111 §4.1 lets white space and empty members go where the field is defined to be a list, and only there.
_LISTS = frozenset(b"accept accept-charset accept-encoding accept-language".split())
#: RFC 9110: of one value, in which a comma is a comma.
_NO_LISTS = frozenset(
    b"user-agent referer from host date authorization proxy-authorization cookie content-type content-location "
    b"if-modified-since if-unmodified-since if-range max-forwards content-length location".split()
)


def coding_guard(vary: Sequence[bytes], response: Fields) -> tuple[bytes, ...]:
    """Return what else a response varies by that is coded and does not say so: who takes the coding (§12.5.3)."""
    value = response.index.get(b"content-encoding")
    if value is None or ACCEPT_ENCODING in vary:
        return ()
    codings = [coding for coding in map(bytes.lower, members(value)) if coding != b"identity"]
    return (CODINGS + b",".join(codings),) if codings else ()


def takes_codings(codings: bytes, request: Request) -> bytes | None:
    """Return ``1`` where a client takes all of these codings, ``0`` where it refuses one; None where it does not say.

    A client that says nothing takes any by §12.5.3; many such programs can read none.
    """
    value = request.fields.index.get(ACCEPT_ENCODING)
    if value is None:
        return None
    weights = _weights(value)
    if weights is None:
        return b":" + _list(value)
    others = weights.get(_ANY, 0)
    weighed = (weights.get(coding, weights.get(_ALIASES.get(coding, coding), others)) for coding in codings.split(b","))
    return b"1" if all(weighed) else b"0"


#: Recipients treat them as equivalent (RFC 9110 §8.4.1).
_ALIASES = {b"x-gzip": b"gzip", b"gzip": b"x-gzip", b"x-compress": b"compress", b"compress": b"x-compress"}


def _value(name: bytes, read: Callable[[bytes], bytes], request: Request) -> bytes | None:
    """Return what a field of the request stands for; None where it is absent."""
    value = request.fields.index.get(name)
    if value is None:
        return None
    return read(value) if len(value) <= _LONGEST else _list(value)


def _list(value: bytes) -> bytes:
    return b", ".join(members(value))


def _weights(value: bytes) -> Weights | None:
    """Read a list of names with qvalues (RFC 9110 §12.4.2); None where it is none, or says one name twice."""
    weights: Weights = {}
    for member in members(value):
        matched = _WEIGHTED.fullmatch(member.lower())
        if matched is None or matched[1] in weights:
            return None
        weights[matched[1]] = _FULL if matched[2] is None else round(float(matched[2]) * _FULL)
    return weights


def _written(weights: Sequence[tuple[bytes, int]]) -> bytes:
    """Write a list one way. What could not be read stays as it is, and so is never one that is written here."""
    said = []
    for name, weight in weights:
        quality = (b"%d.%03d" % divmod(weight, _FULL)).rstrip(b"0").rstrip(b".")
        said.append(name if weight == _FULL else b"%b;q=%b" % (name, quality))
    return b", ".join(said)


@lru_cache(maxsize=1000)
def _codings(value: bytes) -> bytes:
    """The order of codings says nothing (RFC 9110 §12.5.3): whatever one client takes, the other takes too."""
    weights = _weights(value)
    return _list(value) if weights is None else _written(sorted(weights.items()))


@lru_cache(maxsize=1000)
def _ranges(value: bytes) -> bytes:
    """Language ranges have no case (RFC 9110 §12.5.4); of those wanted equally, applications take the first."""
    weights = _weights(value)
    return _list(value) if weights is None else _written(list(weights.items()))


@lru_cache(maxsize=1000)
def _unordered_ranges(value: bytes) -> bytes:
    weights = _weights(value)
    return _list(value) if weights is None else _written(sorted(weights.items()))


@lru_cache(maxsize=1000)
def _best_coding(able: tuple[bytes, ...], value: bytes) -> bytes:
    """Return the coding that the application would choose, and whether it may leave the body as it is."""
    weights = _weights(value)
    if weights is None:
        return _list(value)
    others = weights.get(_ANY, 0)
    best = max(able, key=lambda coding: weights.get(coding, others))
    weight = weights.get(best, others)
    identity = weights.get(b"identity", 0 if weights.get(_ANY) == 0 else 1)
    if not weight or identity > weight:
        best = b"identity"
    return best if identity else best + _NO_IDENTITY


@lru_cache(maxsize=1000)
def _best_language(able: tuple[bytes, ...], in_order: bool, value: bytes) -> bytes:
    """Return the language of the application that a lookup finds (RFC 4647 §3.4); ``*`` where it is none of them."""
    weights = _weights(value)
    if weights is None:
        return _list(value)
    found = {name: each for name, weight in weights.items() if weight and (each := _lookup(able, name)) is not None}
    if not found:
        return _ANY
    most = max(weights[name] for name in found)
    equal = [language for name, language in found.items() if weights[name] == most]
    return equal[0] if in_order else min(equal, key=able.index)


def _lookup(able: Sequence[bytes], tag: bytes) -> bytes | None:
    """Cut the range from its end until it is a language of the application."""
    while tag and tag not in able:
        tag = tag.rpartition(b"-")[0]
        if tag[-2:-1] == b"-":
            # What a single letter introduces goes with it.
            tag = tag[:-2]
    return tag or None


@lru_cache(maxsize=1000)
def _most_wanted(value: bytes) -> bytes | None:
    """Return the one language that is wanted more than any other; None where there are several, or none."""
    weights = _weights(value)
    if not weights:
        return None
    most = max(weights.values())
    wanted = [name for name, weight in weights.items() if weight == most]
    return wanted[0] if len(wanted) == 1 and most and wanted != [_ANY] else None
