"""Ports and sockets for tests."""

from __future__ import annotations

import socket


def get_port_socket(host: str, port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """Make a socket that is bound to an address; 0 takes a free port."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def get_unused_port_socket(host: str, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """Make a socket that is bound to a free port, so that nobody else gets it."""
    return get_port_socket(host, 0, family)


def unused_port() -> int:
    """Find a port that is free on 127.0.0.1, at this moment."""
    with get_unused_port_socket("127.0.0.1") as sock:
        port: int = sock.getsockname()[1]
        return port
