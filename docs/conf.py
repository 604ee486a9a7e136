"""The documentation site: `make docs` builds it into build/docs.

Sphinx, because the docstrings are NumPy's (numpydoc reads them), and because its search works
without a server. The pages are Markdown, so that they read well on a code host, too. The pages on
findings and on the command line are written here, from the code that they describe; what the
benchmarks recorded is copied. Nothing on the site is loaded from elsewhere.
"""

import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import reference_pages  # noqa: E402

import xpnet  # noqa: E402

project, author, release = "xpnet", "the authors of xpnet", xpnet.__version__
project_copyright = "the authors of xpnet"
extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["*.py", "*.diff"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = "xpnet"
html_copy_source = False
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
html_theme_options = {"sidebar_hide_name": False}

reference_pages.write(HERE / "reference")
reference_pages.copy_records(HERE / "records")


def setup(app: Sphinx) -> None:
    """Let links out of the documentation lead to the copies; show formulas as MathML."""
    app.connect("source-read", _lead_to_copies)
    app.add_html_math_renderer("mathml", (_formula, None), (_formula, None))


def _lead_to_copies(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = re.sub(r"\]\((?:\.\./)+benchmarks/(?:results/)?", "](/records/", source[0])
    source[0] = re.sub(r"\]\((?:\.\./)+tests/emulated_cuda/README", "](/records/GPU", source[0])


def _formula(writer: Any, node: nodes.math | nodes.math_block) -> None:
    markup = tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block))
    writer.body.append(markup)
    raise nodes.SkipNode
