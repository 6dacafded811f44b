"""Settings of the documentation; `make docs` builds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

import gigalane

project = "gigalane"
author = "The gigalane authors"
copyright = "The gigalane authors"
version = release = gigalane.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "field_tables"]
exclude_patterns = ["_build", "_extensions"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
nitpicky = False

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autoclass_content = "both"
napoleon_use_ivar = True
default_role = "code"

html_theme = "furo"
html_title = f"gigalane {version}"
html_show_sphinx = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b57e3", "color-brand-content": "#0b57e3"},
    "dark_css_variables": {"color-brand-primary": "#7ea8ff", "color-brand-content": "#7ea8ff"},
}
html_static_path = ["_static"]
html_css_files = ["tables.css"]
