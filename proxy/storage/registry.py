"""Which cache does BACKEND name?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields

from proxy.config.model import Config, plain_options
from proxy.storage.backends.base import Backend, InvalidCacheBackendError
from proxy.storage.custom import Custom
from proxy.storage.drivers import MissingDriverError
from proxy.storage.named import judge, named

_OURS = "proxy.storage.backends."
_DJANGO = "django.core.cache.backends."

SHORT_NAMES: Mapping[str, str] = {
    "locmem": f"{_OURS}locmem.LocMemCache",
    "dummy": f"{_OURS}dummy.DummyCache",
    "shared": f"{_OURS}shared.SharedMemoryCache",
    "file": f"{_OURS}filebased.FileBasedCache",
    "filebased": f"{_OURS}filebased.FileBasedCache",
    "db": f"{_OURS}db.DatabaseCache",
    "database": f"{_OURS}db.DatabaseCache",
    "memcached": f"{_OURS}memcached.PyMemcacheCache",
    "pymemcache": f"{_OURS}memcached.PyMemcacheCache",
    "pylibmc": f"{_OURS}memcached.PyLibMCCache",
    "redis": f"{_OURS}redis.RedisCache",
}
"""Names for the classes of our own backends."""


@dataclass(frozen=True, slots=True)
class Opening:
    """What is needed to open one entry of CACHES."""

    alias: str
    backend: str | type
    """A short name, a dotted path (Django's names are ours), or a class."""
    location: object = ""
    options: Mapping[str, object] = field(default_factory=dict)
    params: Mapping[str, object] = field(default_factory=dict)
    """The whole entry, for a class of the operator's own."""
    shared: Mapping[str, object] = field(default_factory=dict)
    """Settings that stand beside CACHES and that some backends take among their options: DATABASES and ROUTER."""


def open_cache(alias: str, config: Config) -> Backend:
    """Make the cache of that alias, connecting to nothing yet; SitecacheError or ValueError says what is wrong."""
    cache = config.CACHES[alias]
    judge(cache.KEY_FUNCTION, cache.SERIALIZER)
    options = plain_options(cache)
    entry = {each.name: getattr(cache, each.name) for each in fields(cache)} | {"OPTIONS": options}
    shared = {"DATABASES": config.DATABASES, "ROUTER": config.ROUTER}
    return builder(Opening(alias, cache.BACKEND, cache.LOCATION, options, entry, shared))()


def builder(opening: Opening) -> Callable[[], Backend]:
    """Return what opens this cache, each time anew; InvalidCacheBackendError names the alias and the reason.

    Nothing is connected to, but options are judged, so that what is wrong is known at once.
    """
    cls = opening.backend if isinstance(opening.backend, type) else backend_class(opening.alias, opening.backend)
    build = getattr(cls, "build", None) if issubclass(cls, Backend) else None
    options = {**_shared(cls, opening.shared), **opening.options}

    def make() -> Backend:
        try:
            if build is None:
                return _own(cls, opening)
            backend: Backend = build(opening.location, options)
        except (ValueError, TypeError, ImportError) as error:
            raise InvalidCacheBackendError(f"CACHES.{opening.alias}.{_at(error)}{error}") from error
        return backend

    return make


def _shared(cls: type, settings: Mapping[str, object]) -> Mapping[str, object]:
    """Return those of the settings beside CACHES that this class, or one it is derived from, takes."""
    return settings if any(base.__module__ == f"{_OURS}db" for base in cls.__mro__) else {}


def _at(error: Exception) -> str:
    """Return the key that the text of an error does not begin with."""
    return "" if str(error).startswith(("OPTIONS", "LOCATION")) else "BACKEND: "


def _own(cls: type, opening: Opening) -> Backend:
    made = cls(opening.location, dict(opening.params))
    return made if isinstance(made, Backend) else Custom(made)


def backend_class(alias: str, name: str) -> type:
    """Return the class that BACKEND names; InvalidCacheBackendError where there is none."""
    path = SHORT_NAMES.get(name, name)
    if path.startswith(_DJANGO):
        path = _OURS + path.removeprefix(_DJANGO)
    module, _, attribute = path.rpartition(".")
    try:
        if not module or module.startswith("."):
            raise ImportError(f"expected a dotted path or one of {', '.join(SHORT_NAMES)}")
        cls = named(path)
        if not isinstance(cls, type):
            raise ImportError(f"{attribute} of {module} is not a class")
    except MissingDriverError as error:
        # pylibmc keeps to what pymemcache knows of servers, and one extra brings both.
        needed = MissingDriverError("pylibmc") if path == SHORT_NAMES["pylibmc"] else error
        raise InvalidCacheBackendError(f"CACHES.{alias}.BACKEND: {needed}") from error
    except ImportError as error:
        raise InvalidCacheBackendError(f"CACHES.{alias}.BACKEND: Could not find backend {name!r}: {error}") from error
    return cls
