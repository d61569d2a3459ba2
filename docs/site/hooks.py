"""What MkDocs is told in Python: pages that lie beside docs/ belong to the site, too."""

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
BESIDE = ("CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md", "benchmarks/RESULTS.md")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages beside docs/, with the links as they lead from their new places."""
    for name in BESIDE:
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Links out of docs/ lead to pages that now lie in it."""
    return re.sub(r"\]\(\.\./(?=benchmarks/|CONTRIBUTING|CHANGELOG)", "](", markdown)
