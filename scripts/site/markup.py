"""Markup that was not understood, and is shown to the reader as it stands."""

import logging
import re
from html import unescape

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.markup")

_CODE = re.compile(r"<(pre|code)\b.*?</\1>", re.DOTALL)
_TAG = re.compile(r"<[^>]+>")
_LEFT_OVER = re.compile(r".*(?:`|\]\[|\]\().*")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Warn of backticks and links in the text, which fails a strict build."""
    text = unescape(_TAG.sub("", _CODE.sub("", html)))
    for found in _LEFT_OVER.finditer(text):
        log.warning("%s: this is shown as it stands: %s", page.file.src_uri, found[0].strip())
