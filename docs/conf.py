"""How Sphinx builds these pages."""

from __future__ import annotations

import tomllib
from pathlib import Path

_distribution = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "corelet"
author = "the corelet maintainers"
copyright = f"2026, {author}"
release = _distribution["version"]

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"corelet {release}"
