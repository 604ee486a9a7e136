"""The documentation site: `make docs` builds it into build/docs.

Sphinx, because the docstrings are NumPy's (numpydoc reads them), and because its search works
without a server. The pages are Markdown, so that they read well on a code host, too. The pages on
findings and on the command line are written here, from the code that they describe.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference_pages  # noqa: E402

import xpnet  # noqa: E402

project, author, release = "xpnet", "the authors of xpnet", xpnet.__version__
project_copyright = "the authors of xpnet"
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["reference_pages.py"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "xpnet"
html_copy_source = False
myst_enable_extensions = ["dollarmath", "linkify"]
myst_heading_anchors = 3
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
html_theme_options = {"sidebar_hide_name": False}

reference_pages.write(HERE / "reference")
