"""What must exist before the site can run? Its tables, its users and the files to download."""

from __future__ import annotations

import os
import random

import django
from django.conf import settings
from django.core.management import call_command

MIB = 1 << 20
#: Above the proxy's limit for one stored response (32 MiB), and below it.
FILES = {"large.bin": 40 * MIB, "small.bin": 300_001}


def main() -> None:
    """Migrate, create the users, write the files."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.sites.django_site.settings")
    django.setup()
    call_command("migrate", verbosity=0)
    from django.contrib.auth import get_user_model  # noqa: PLC0415  models exist only after setup

    users = get_user_model().objects
    for name in ("alice", "bob"):
        users.create_user(name, password=f"{name}-password")
    users.create_superuser("root", password="root-password")
    for name, size in FILES.items():
        write(settings.SITE_DIR / name, size)


def write(path: os.PathLike[str], size: int) -> None:
    """Write bytes that repeat nowhere, so that a part sent twice or left out changes the digest."""
    source = random.Random(size)
    with open(path, "wb") as file:
        file.writelines(source.randbytes(min(MIB, size - start)) for start in range(0, size, MIB))


if __name__ == "__main__":
    main()
