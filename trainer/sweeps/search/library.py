"""Optuna, which is imported only for a search: it takes half a second, and need not be installed."""

from trainer.system.errors import ConfigError


def load() -> None:
    """Import it; it says nothing by itself from then on.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError(
            "search=optuna needs Optuna, which is not installed", "pip install 'trainer[search]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
