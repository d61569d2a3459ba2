"""Which trials a search runs, and what comes of them. The modules need Optuna, which takes half a second to import."""

from trainer.system.errors import ConfigError
from trainer.system.extras import install


def check() -> None:
    """Check that Optuna is there.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError as error:
        raise ConfigError("search=optuna needs Optuna, which is not installed", install("search")) from error
