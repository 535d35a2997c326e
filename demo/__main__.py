"""How is the demo started? `python -m demo --bind 127.0.0.1:8000`"""

from __future__ import annotations

import argparse
import os
from typing import Any

from django.core.wsgi import get_wsgi_application
from gunicorn.app.base import BaseApplication


class Demo(BaseApplication):
    """Gunicorn around the demo: one process, because its sessions and its guestbook are in memory."""

    def __init__(self, bind: str) -> None:
        self._bind = bind
        super().__init__()

    def load_config(self) -> None:
        """Say what differs from gunicorn's defaults."""
        settings = {
            "bind": self._bind,
            "worker_class": "gthread",
            "threads": 8,
            "loglevel": "warning",
            "preload_app": True,
            "when_ready": _say_ready,
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            if name in self.cfg.settings:  # older versions of gunicorn have no control socket to disable
                self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the WSGI application."""
        os.environ["DJANGO_SETTINGS_MODULE"] = "demo.settings"
        return get_wsgi_application()


def _say_ready(arbiter: Any) -> None:
    """Say where the demo is; the real port, where the kernel chose it."""
    for listener in arbiter.LISTENERS:
        name = listener.sock.getsockname()
        where = f"unix:{name}" if isinstance(name, str) else f"http://{_host(name[0])}:{name[1]}"
        print(f"demo: ready on {where}", flush=True)  # noqa: T201  the one line this program is asked for


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def main() -> None:
    """Run the demo until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m demo", description="A small site that shows what caching does.")
    parser.add_argument(
        "--bind", metavar="ADDR", default="127.0.0.1:0", help="host:port, or unix:/path; port 0 takes any free one"
    )
    Demo(parser.parse_args().bind).run()


if __name__ == "__main__":
    main()
