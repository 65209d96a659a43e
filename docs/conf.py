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

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "ratelimit"]

extensions += ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# The plain wire has docstrings and signatures that the compiled one lacks.
os.environ["CORELET_NO_EXTENSIONS"] = "1"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
maximum_signature_line_length = 120
# Annotations name classes as their module does, and some names stand in corelet.abc and in corelet.web.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"corelet {release}"
