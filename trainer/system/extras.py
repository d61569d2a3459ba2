"""What is installed only on request: the command that installs it."""

DISTRIBUTION = "trainer-cli"  # the package index has another project under the name of the command


def install(extra: str) -> str:
    """The command that installs `extra`, one of the optional dependencies in pyproject.toml."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"
