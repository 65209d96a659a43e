"""How Sphinx builds these pages."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

_distribution = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "corelet"
author = "the corelet maintainers"
copyright = f"2026, {author}"
release = _distribution["version"]

extensions = ["myst_parser", "sphinx.ext.intersphinx"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

# Names of others link to their documentation where CORELET_DOCS_ONLINE is set. Without it nothing is fetched, so pages
# are built the same, and without a warning, on a machine that has no network.
_OTHERS = {"python": "https://docs.python.org/3", "yarl": "https://yarl.aio-libs.org/en/stable"}
intersphinx_mapping = (
    {name: (url, None) for name, url in _OTHERS.items()} if "CORELET_DOCS_ONLINE" in os.environ else {}
)

html_theme = "furo"
html_title = f"corelet {release}"
