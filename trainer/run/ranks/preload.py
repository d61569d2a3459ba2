"""What the server imports first that ranks are forked from."""

from trainer.system.forking import serving

serving()

import trainer.engine.ranks.joined  # noqa: E402
import trainer.run.ranks.follower  # noqa: E402
import trainer.run.ranks.rank  # noqa: E402

__all__ = ["trainer"]
