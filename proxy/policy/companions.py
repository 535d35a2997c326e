"""URLs that frameworks answer beside a page: a write to one makes the page and all of them stale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from proxy.config.model import PageData


@dataclass(frozen=True, slots=True)
class Companion:
    """Where the data of a page lies: ``/todo.data`` beside ``/todo``."""

    suffix: bytes
    """What is added to the path of the page."""
    root: tuple[bytes, ...] = ()
    """The paths of the data of ``/``."""
    ending: bytes = b""
    """How the paths of the pages end that have such data."""

    def page(self, path: bytes) -> bytes | None:
        """Return the path of the page that the data at a path are of; None where that is none of this kind."""
        if path in self.root:
            return b"/"
        return path.removesuffix(self.suffix) or b"/" if path.endswith(self.ending + self.suffix) else None

    def beside(self, page: bytes) -> Sequence[bytes]:
        """Return the paths of the data of a page."""
        if page == b"/":
            return self.root
        return (page.rstrip(b"/") + self.suffix,) if page.endswith(self.ending) else ()


COMPANIONS: Mapping[PageData, tuple[Companion, ...]] = {
    PageData.REACT_ROUTER: (Companion(b".data", (b"/_root.data", b"/_.data")),),
    PageData.SVELTEKIT: (Companion(b"/__data.json", (b"/__data.json",)), Companion(b"__data.json", ending=b".html")),
    PageData.NUXT: (Companion(b"/_payload.json", (b"/_payload.json",)),),
}
"""As each framework serves the data of a page: React Router 7 and 8 (single fetch), SvelteKit 2 and 3, Nuxt 3 and 4.

Those of Next.js have the URL of the page, and another query.
"""
_EVERY = tuple(kind for kinds in COMPANIONS.values() for kind in kinds)


def page_of(path: bytes, kinds: Iterable[Companion] = _EVERY) -> bytes:
    """Return the path of the page that lies beside a path, or the path itself where that is no data of a page."""
    pages = [page for page in (kind.page(path) for kind in kinds) if page is not None]
    return pages[0] if pages else path


def companions(path: bytes, kinds: Iterable[Companion]) -> tuple[bytes, ...]:
    """Return the paths of all that lies beside a path, the page among it; the path itself is left out."""
    kinds = tuple(kinds)
    page = page_of(path, kinds)
    found = dict.fromkeys((page, *(beside for kind in kinds for beside in kind.beside(page))))
    found.pop(path, None)
    return tuple(found)
