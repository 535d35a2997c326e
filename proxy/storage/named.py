"""Which function, class or object does a dotted path of CACHES name, and can it be used there?"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from proxy.config.backends import DJANGOS_KEY_FUNCTION
from proxy.storage.drivers import missing_driver
from proxy.storage.serializers import Serializer, TypedSerializer

KeyFunction = Callable[[object, str, object], str]
"""Takes the key as it was given, KEY_PREFIX and the version."""

SERIALIZERS: Mapping[str, str] = {
    "typed": "proxy.storage.serializers.TypedSerializer",
    "pickle": "proxy.storage.pickled.PickleSerializer",
}
"""Names for the serializers of our own."""

_FUNCTION = "KEY_FUNCTION", "a function of key, key_prefix and version, or its dotted path"
_SERIALIZER = "SERIALIZER", "a class with dumps and loads, made without arguments, or its dotted path"


class UnusableError(ValueError):
    """What a key of CACHES names cannot be used there."""

    def __init__(self, what: tuple[str, str], found: object, why: str = "") -> None:
        """``what`` is the key, and what is expected of it."""
        self.key, self.expected = what
        self.found = f"{found!r}: {why}" if why else repr(found)
        super().__init__(f"{self.key}: expected {self.expected}, found {self.found}")


def named(path: str) -> object:
    """Return what the dotted path names; ImportError says why it cannot be had, whatever its module raised."""
    module, _, attribute = path.rpartition(".")
    if not module or module.startswith("."):
        raise ImportError("that is no dotted path")
    try:
        found: object = getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        if (driver := missing_driver(error)) is not None:
            raise driver from error
        ours = error.name is not None and f"{module}.".startswith(f"{error.name}.")
        hint = ", name its directory in PYTHONPATH or install it" if ours else ""
        raise ImportError(f"{error}{hint}") from error
    except (ImportError, AttributeError) as error:
        raise ImportError(str(error)) from error
    except Exception as error:  # it is the operator's module, which may do anything while it is imported
        raise ImportError(f"{module} raised {type(error).__name__}: {error}") from error
    return found


def key_function(value: object) -> KeyFunction | None:
    """Return the function, or None where none is named, or Django's own; UnusableError says what is wrong with it."""
    if value is None or value in ("", DJANGOS_KEY_FUNCTION) or _is_djangos(value):
        return None
    function: Any = _object(value, _FUNCTION)
    if not callable(function):
        raise UnusableError(_FUNCTION, value)
    made: KeyFunction = function
    return made


def _is_djangos(value: object) -> bool:
    return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}" == DJANGOS_KEY_FUNCTION


def serializer(value: object) -> Serializer:
    """Return the serializer, the typed one where none is named; UnusableError says what is wrong with it."""
    if value is None or value == "":
        return TypedSerializer()
    made: Any = _object(SERIALIZERS.get(value, value) if isinstance(value, str) else value, _SERIALIZER)
    if isinstance(made, type) or (callable(made) and not hasattr(made, "loads")):
        try:
            made = made()
        except Exception as error:  # the same
            raise UnusableError(_SERIALIZER, value, f"{type(error).__name__}: {error}") from error
    if not (hasattr(made, "dumps") and hasattr(made, "loads")):
        raise UnusableError(_SERIALIZER, value)
    found: Serializer = made
    return found


def judge(function: object, serializing: object) -> None:
    """Raise the UnusableError of a KEY_FUNCTION or SERIALIZER that cannot be used, and warn of nothing."""
    key_function(function)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        serializer(serializing)


def _object(value: object, what: tuple[str, str]) -> object:
    if not isinstance(value, str):
        return value
    try:
        return named(value)
    except ImportError as error:
        raise UnusableError(what, value, str(error)) from error
