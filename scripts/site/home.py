"""The front page of the site: README.md, which is the front page on GitHub too."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

_LINK_INTO_DOCS = re.compile(r"\]\(docs/")
_LINK_ELSEWHERE = re.compile(r"\]\((?!docs/|[a-z]+:|#)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add it, with its links as they are seen from within docs/."""
    readme = Path(config.config_file_path).with_name("README.md").read_text(encoding="utf-8")
    text = _LINK_INTO_DOCS.sub("](", _LINK_ELSEWHERE.sub("](../", readme))
    files.append(File.generated(config, "index.md", content=text))
    return files
