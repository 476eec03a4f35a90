"""Links that leave docs/: on GitHub they lead to a file, on the site to that file on GitHub."""

import logging
import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.links")

_LINK = re.compile(r"(?<=\]\()(?P<path>\.\./[^()\s#]+)")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Rewrite them; one that leads to no file is a warning, which fails a strict build."""
    root = Path(config.config_file_path).parent
    folder = posixpath.join("docs", posixpath.dirname(page.file.src_uri))

    def rewritten(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link["path"]))
        if target.startswith("docs/"):
            return link["path"]
        if not (root / target).exists():
            log.warning("%s links to %s, which does not exist", page.file.src_uri, target)
        kind = "tree" if (root / target).is_dir() else "blob"
        return f"{config.repo_url}/{kind}/main/{target}"

    return _LINK.sub(rewritten, markdown)
