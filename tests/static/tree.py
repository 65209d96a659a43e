"""A directory of static files, with what must not be reached beside it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

SECRET = b"the secret"
LARGE = bytes(range(256)) * 4096


def make_tree(base: Path) -> Path:
    """Make the tree; return its root."""
    root = base / "static"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"0123456789")
    (root / "large.bin").write_bytes(LARGE)
    (root / "empty").write_bytes(b"")
    (root / "sub" / "page.html").write_bytes(b"<p>")
    (base / "secret").write_bytes(SECRET)
    (base / "static-secret").mkdir()
    (base / "static-secret" / "x").write_bytes(SECRET)
    (root / "link").symlink_to(base / "secret")
    (root / "linked").symlink_to(base / "static-secret")
    (root / "inside").symlink_to(root / "a.txt")
    (root / "nowhere").symlink_to(base / "nothing")
    (root / "circle").symlink_to(root / "circle")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        # Its name may be longer than a socket's may be.
        here = os.getcwd()
        os.chdir(root)
        try:
            sock.bind("socket")
        finally:
            os.chdir(here)
    return root
