"""One program a server; each takes ``--port`` and ``--shape`` and serves on 127.0.0.1."""
