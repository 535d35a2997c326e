"""Files that a page consists of: styles, scripts, images and fonts, by content type or by the end of a path."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from proxy.message.heads import Request, Response


class Kind(StrEnum):
    """What a browser takes a file for."""

    STYLE = "style"
    SCRIPT = "script"
    IMAGE = "image"
    FONT = "font"


_BY_TYPE: Mapping[bytes, Kind] = {
    b"text/css": Kind.STYLE,
    b"text/javascript": Kind.SCRIPT,
    b"application/javascript": Kind.SCRIPT,
    b"application/x-javascript": Kind.SCRIPT,
    b"application/ecmascript": Kind.SCRIPT,
    b"text/ecmascript": Kind.SCRIPT,
    b"application/wasm": Kind.SCRIPT,
    b"application/vnd.ms-fontobject": Kind.FONT,
    b"application/x-font-ttf": Kind.FONT,
    b"application/x-font-otf": Kind.FONT,
    b"application/x-font-woff": Kind.FONT,
    b"application/font-sfnt": Kind.FONT,
    b"application/font-woff": Kind.FONT,
    b"application/font-woff2": Kind.FONT,
}
_BY_TREE: Mapping[bytes, Kind] = {b"image": Kind.IMAGE, b"font": Kind.FONT}
_BY_ENDING: Mapping[bytes, Kind] = {
    b"css": Kind.STYLE,
    **dict.fromkeys((b"js", b"mjs", b"cjs", b"wasm"), Kind.SCRIPT),
    **dict.fromkeys((b"png", b"jpg", b"jpeg", b"gif", b"webp", b"avif", b"svg", b"ico", b"bmp"), Kind.IMAGE),
    **dict.fromkeys((b"woff", b"woff2", b"ttf", b"otf", b"eot"), Kind.FONT),
}


def kind_of_path(path: bytes) -> Kind | None:
    """Return what the end of a path, or of a URL without its query, stands for."""
    _, dot, ending = path.rpartition(b"/")[2].rpartition(b".")
    return _BY_ENDING.get(ending.lower()) if dot else None


def kind_of_type(content_type: bytes) -> Kind | None:
    """Return what a Content-Type stands for."""
    name = content_type.partition(b";")[0].strip(b" \t").lower()
    return _BY_TYPE.get(name) or _BY_TREE.get(name.partition(b"/")[0])


def kind_of_file(request: Request, response: Response | None) -> Kind | None:
    """Return what a file is: by its content type where it says one, whatever its path."""
    said = None if response is None else response.fields.get(b"content-type")
    return kind_of_path(request.target.partition(b"?")[0]) if said is None else kind_of_type(said)
