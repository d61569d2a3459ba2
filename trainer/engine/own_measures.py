"""What the user's own metrics are like, as their files in ./configs/metric say; nothing of theirs is imported."""

from trainer.config import named
from trainer.config.check import made
from trainer.engine import measures
from trainer.system.errors import ConfigError


def declare() -> None:
    """Let tables, curves and rankings know them. A file with a mistake says nothing here."""
    for name in named.names("metric"):
        values = named.described("metric", name) or {}
        own = {key: value for key, value in values.items() if key in named.Metric.__dataclass_fields__}
        try:
            measures.declare(name, **vars(made(named.Metric, own, f"metric.{name}")))
        except ConfigError:
            continue
