"""Do fields keep their lines as they came, and combine as RFC 9110 §5.3 says?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.message.fields import Fields, serialise
from proxy.message.framing import NO_BODY
from proxy.message.heads import Request, Response

RAW = [(b"Host", b"a"), (b"X-B", b"1"), (b"x-b", b""), (b"COOKIE", b"a=1"), (b"Cookie", b"b=2"), (b"X-b", b"2")]


@pytest.mark.rfc(9110, "5.3")
def test_lines_of_one_name_are_combined_in_order() -> None:
    fields = Fields(list(RAW))
    assert fields.get(b"x-b") == b"1, , 2"
    assert fields.lines(b"x-b") == [b"1", b"", b"2"]
    assert fields.lines(b"absent") == []
    assert fields.get(b"absent") is None


@pytest.mark.rfc(6265, "5.4")
def test_lines_of_cookie_are_combined_with_a_semicolon() -> None:
    assert Fields(list(RAW)).get(b"cookie") == b"a=1; b=2"


@pytest.mark.rfc(9110, "5.1")
def test_names_have_no_case_and_lines_keep_theirs() -> None:
    fields = Fields(list(RAW))
    assert b"host" in fields
    assert b"Host" not in fields.index
    assert list(fields) == RAW
    assert serialise(fields) == b"Host: a\r\nX-B: 1\r\nx-b: \r\nCOOKIE: a=1\r\nCookie: b=2\r\nX-b: 2\r\n"


def test_without() -> None:
    fields = Fields(list(RAW))
    assert fields.without({b"x-b", b"absent"}) == [RAW[0], RAW[3], RAW[4]]
    untouched = fields.without({b"absent"})
    assert untouched == RAW
    assert untouched is not fields.raw


def test_equality_is_of_the_lines() -> None:
    assert Fields(list(RAW)) == Fields(list(RAW))
    assert Fields(list(RAW)) != Fields(RAW[1:])
    assert Fields([]) != []
    assert "X-B" in repr(Fields(list(RAW)))


names = st.binary(min_size=1, max_size=3).map(lambda name: b"N" + name.hex().encode())


@given(st.lists(st.tuples(names, st.binary(max_size=5)), max_size=8))
def test_the_index_has_each_name_once_and_all_values(raw: list[tuple[bytes, bytes]]) -> None:
    fields = Fields(raw)
    assert set(fields.index) == {name.lower() for name, _ in raw}
    for name in fields.index:
        assert fields.index[name] == b", ".join(fields.lines(name))


@pytest.mark.rfc(9110, "9.2.1")
@pytest.mark.parametrize(
    ("method", "safe"),
    [
        pytest.param(b"GET", True, id="get"),
        pytest.param(b"HEAD", True, id="head"),
        pytest.param(b"OPTIONS", True, id="options"),
        pytest.param(b"TRACE", True, id="trace"),
        pytest.param(b"QUERY", True, id="query"),
        pytest.param(b"POST", False, id="post"),
        pytest.param(b"PUT", False, id="put"),
        pytest.param(b"DELETE", False, id="delete"),
        pytest.param(b"PATCH", False, id="patch"),
        pytest.param(b"BREW", False, id="unknown"),
        pytest.param(b"get", False, id="case-matters"),
    ],
)
@pytest.mark.rfc(9110, "9.1")
def test_safe_methods(method: bytes, safe: bool) -> None:
    assert Request(method, b"/", Fields([]), NO_BODY, b"").is_safe is safe


@pytest.mark.rfc(9112, "4")
def test_a_response_head_is_written_as_it_came() -> None:
    head = Response(404, "Où ça".encode("latin-1"), Fields([(b"X-A", b""), (b"x-a", b"\xe9")])).head()
    assert head == b"HTTP/1.1 404 O\xf9 \xe7a\r\nX-A: \r\nx-a: \xe9\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([], id="none"),
        pytest.param([(b"Host", b"a"), (b"ACCEPT", b"b")], id="each-name-once"),
        pytest.param([(b"Via", b"a"), (b"Host", b"b"), (b"via", b"c")], id="a-name-twice"),
    ],
)
def test_each_line_goes_with_its_name(lines: list[tuple[bytes, bytes]]) -> None:
    assert list(Fields(lines).lowered()) == [(line[0].lower(), line) for line in lines]
