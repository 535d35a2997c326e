"""What does the operator write into the fields that the origin sent? Django's rules for patching them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.config.units import UnixTime
from proxy.message.fields import Fields, RawField
from proxy.message.grammar import format_date, members, unquote
from proxy.policy.directives import delta_seconds

Directive = tuple[bytes, bytes | None]
"""As it stands in the field; None is a bare name."""

_NEVER: tuple[Directive, ...] = (
    (b"max-age", b"0"),
    (b"no-cache", None),
    (b"no-store", None),
    (b"must-revalidate", None),
    (b"private", None),
)
_OPPOSITES = {b"public": b"private", b"private": b"public"}


@dataclass(frozen=True, slots=True)
class Patches:
    """What a route changes in a response before anything is decided about it."""

    cache_control: tuple[Directive, ...] = ()
    """As ``directives_of`` makes them."""
    vary_on: tuple[bytes, ...] = ()
    """Names of fields; not ``cookie:NAME``, which is no field."""
    never_cache: bool = False
    remove_set_cookie: frozenset[bytes] = frozenset()
    """Names of the cookies that are not set."""


NO_PATCHES = Patches()


def directives_of(said: Mapping[str, object]) -> tuple[Directive, ...]:
    """Return the directives that Django's names stand for: ``max_age`` is max-age, and True a bare name."""
    return tuple((name.lower().replace("_", "-").encode("ascii"), _argument(value)) for name, value in said.items())


def _argument(value: object) -> bytes | None:
    if value is True:
        return None
    return str(int(value) if isinstance(value, float) else value).encode("ascii")


def patched(fields: Fields, patches: Patches, now: UnixTime, *, update: bool = False) -> Fields:
    """Return the fields of a response with these patches; what they do not touch keeps its bytes and its place.

    ``update`` says that the fields are those of a 304: they stand for the ones that are stored, which were patched when
    they came, so that nothing is added that the origin did not state (a Vary of ours alone would replace the stored).
    """
    raw = fields.raw
    if patches.remove_set_cookie and b"set-cookie" in fields:
        raw = [field for field in raw if not _sets(field, patches.remove_set_cookie)]
    if patches.vary_on and (b"vary" in fields or not update):
        raw = _with(raw, b"Vary", _vary(_values(raw, b"vary"), patches.vary_on))
    if (patches.cache_control or patches.never_cache) and (b"cache-control" in fields or not update):
        said = _said(_values(raw, b"cache-control"))
        for given in (patches.cache_control, _NEVER if patches.never_cache else ()):
            said = _cache_control(said, given)
        raw = _with(raw, b"Cache-Control", b", ".join(_written(said)))
    if patches.never_cache and b"expires" not in fields and not update:
        raw = [*raw, (b"Expires", format_date(now))]
    return fields if raw is fields.raw else Fields(raw)


def _sets(field: RawField, names: frozenset[bytes]) -> bool:
    name, value = field
    return name.lower() == b"set-cookie" and value.partition(b";")[0].partition(b"=")[0].strip(b" \t") in names


def _vary(values: list[bytes], added: tuple[bytes, ...]) -> bytes:
    said = [member for value in values for member in members(value)]
    lower = {name.lower() for name in said}
    said += [name for name in added if name.lower() not in lower]
    return b"*" if b"*" in said else b", ".join(said)


def _said(values: list[bytes]) -> list[Directive]:
    said: list[Directive] = []
    for value in values:
        for member in members(value):
            name, equals, argument = member.partition(b"=")
            said.append((name.rstrip(b" \t").lower(), argument.strip(b" \t") if equals else None))
    return said


def _cache_control(said: list[Directive], given: Iterable[Directive]) -> list[Directive]:
    """Return the directives with those given: each in the place of its namesake, else at the end."""
    given = list(given)
    unsaid = {_OPPOSITES.get(name) for name, _ in given} - {name for name, _ in given}
    said = [each for each in said if each[0] not in unsaid]
    for name, argument in given:
        namesakes = [old for other, old in said if other == name]
        place = next((i for i, each in enumerate(said) if each[0] == name), len(said))
        kept = [each for each in said if each[0] != name]
        said = [*kept[:place], *((name, value) for value in _merged(name, namesakes, argument)), *kept[place:]]
    return said


def _merged(name: bytes, old: list[bytes | None], new: bytes | None) -> list[bytes | None]:
    if name == b"max-age":
        return [_least(old, new)]
    if name == b"no-cache":
        # It may be said for several fields; for all of them wins.
        return [None] if None in old or new is None else list(dict.fromkeys([*old, new]))
    return [new]


def _least(old: list[bytes | None], new: bytes | None) -> bytes | None:
    """Return the least age; one that the origin wrote in a way nobody can read does not count."""
    read = [delta_seconds(unquote(age)) for age in (*old, new) if age is not None]
    ages = [age for age in read if age is not None]
    return b"%d" % min(ages) if ages else new


def _written(said: list[Directive]) -> Iterable[bytes]:
    return [name if argument is None else b"%b=%b" % (name, argument) for name, argument in said]


def _values(raw: list[RawField], lower: bytes) -> list[bytes]:
    return [value for name, value in raw if name.lower() == lower]


def _with(raw: list[RawField], name: bytes, value: bytes) -> list[RawField]:
    """Return the fields with this one, in the place of the first of its name."""
    lower = name.lower()
    place = next((i for i, field in enumerate(raw) if field[0].lower() == lower), len(raw))
    if place == len(raw):
        return [*raw, (name, value)]
    others = [field for field in raw[place + 1 :] if field[0].lower() != lower]
    return [*raw[:place], (raw[place][0], value), *others]
