"""How do values lie in a store that a Django application shares? As pickles, which run the code they hold.

Nothing imports this module: it is loaded where ``SERIALIZER`` names it.
"""

from __future__ import annotations

import pickle
import warnings

from proxy.storage.backends.base import Pickled, Text, Value

_WARNING = "SERIALIZER: pickle runs whatever code a stored value holds; everybody who can write to the store can use it"


class PickleSerializer:
    """Numbers as they are and everything else as pickles, like Django's RedisCache; True is a pickle."""

    def __init__(self) -> None:
        """Warn: this is for stores that nobody else can write to."""
        warnings.warn(_WARNING, RuntimeWarning, stacklevel=2)

    def dumps(self, value: object) -> Value:
        """Return the number itself, or a pickle."""
        return value if type(value) is int else Pickled(pickle.dumps(value, pickle.HIGHEST_PROTOCOL))

    def loads(self, data: Value) -> object:
        """Return the number or the text, or what the pickle makes."""
        if isinstance(data, int):
            return data
        return data.decode() if isinstance(data, Text) else pickle.loads(data)  # noqa: S301  # named by the operator
