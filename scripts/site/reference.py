"""The pages of the reference: one for each module that the navigation names."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_PAGE = re.compile(r"reference/(?P<module>[\w.]+)\.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add them; their text is the docstrings."""
    navigation = Path(config.config_file_path).read_text(encoding="utf-8")
    for page in _PAGE.finditer(navigation):
        text = f"# `{page['module']}`\n\n::: {page['module']}\n"
        files.append(File.generated(config, page[0], content=text))
    return files
