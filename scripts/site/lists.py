"""Lists that the two readers of a page see differently.

GitHub begins a list right after a line of text; the site wants an empty line between them, and
would run the list into the paragraph.
"""

import logging
import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.lists")

_RUN_IN = re.compile(r"<p>(?:(?!</p>).)*?\n(?P<item>(?:[-*+]|\d+\.) [^\n]{0,60})", re.DOTALL)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Warn of a list that is none on the site, which fails a strict build."""
    for found in _RUN_IN.finditer(html):
        log.warning("%s: put an empty line before this list: %s", page.file.src_uri, found["item"])
