#!/usr/bin/env bash
# asyncio (CPython 3.11.7): an answer that has arrived is dropped when the next write fails; uvloop 0.22.1 gives it.
#
# A server may refuse an upload early: it answers 413 and closes, and the kernel resets the connection, for there was more to
# read. The answer lies in the client's kernel by then. A blocking client that meets the reset in send() reads it after all.
# asyncio ends the transport at the failed send(): connection_lost is called with the error, and data_received never. Inside
# connection_lost the descriptor is still open, and a recv() there gives the answer: so a proxy on asyncio need not lose a
# 413, but it has to fetch it by hand. RFC 9112 §9.5 asks clients to look for an answer when sending fails. With uvloop the
# same protocol class, in the same order of events, is given the answer.
#
# Seen on 2026-12-01, Linux: "blocking: 413, asyncio: nothing (then by hand 413), uvloop: 413 (then by hand nothing)".
# Exits with 1 where that changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" --disable-pip-version-check --quiet install uvloop==0.22.1
cat >"$folder/seen.py" <<'PY'
import asyncio
import socket
import threading

import uvloop

ANSWER = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"


def refusing():
    """Refuse one upload: return the address, and an event that is set when the answer and the reset are out."""
    listener, refused = socket.create_server(("127.0.0.1", 0)), threading.Event()

    def serve():
        connection, _ = listener.accept()
        connection.recv(10)
        connection.sendall(ANSWER)
        connection.close()
        listener.close()
        refused.set()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname(), refused


def status(data):
    return data[9:12].decode() or "nothing"


def blocking():
    address, refused = refusing()
    with socket.create_connection(address) as client:
        client.sendall(HEAD)
        refused.wait(10)
        try:
            client.sendall(b"x" * 1000)
        except OSError:
            pass
        return status(client.recv(1000))


class Uploading(asyncio.Protocol):
    def __init__(self, lost):
        self.lost, self.told = lost, b""

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.told += data

    def connection_lost(self, error):
        try:
            left = socket.socket(fileno=socket.dup(self.transport.get_extra_info("socket").fileno())).recv(1000)
        except OSError:
            left = b""
        self.lost.set_result((status(self.told), status(left)))


async def upload():
    address, refused = refusing()
    loop = asyncio.get_running_loop()
    lost = loop.create_future()
    transport, _ = await loop.create_connection(lambda: Uploading(lost), *address)
    transport.write(HEAD)
    # The loop is busy with something else meanwhile, as a loop with many connections is.
    refused.wait(10)
    transport.write(b"x" * 1000)
    return await asyncio.wait_for(lost, 10)


told = [f"blocking: {blocking()}"]
for name, run in (("asyncio", asyncio.run), ("uvloop", uvloop.run)):
    received, left = run(upload())
    told.append(f"{name}: {received} (then by hand {left})")
print(", ".join(told))
PY
seen=$("$folder/venv/bin/python" "$folder/seen.py")
"$folder/venv/bin/python" --version
echo "$seen"
[ "$seen" = "blocking: 413, asyncio: nothing (then by hand 413), uvloop: 413 (then by hand nothing)" ]
