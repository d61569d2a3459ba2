"""What a client did wrong, or has to wait for: one status, one line that says what is wrong, one of what to do."""

import json
from collections.abc import Mapping
from typing import Any


class ProblemError(Exception):
    """A request that gets no answer but this one: `error` and `hint` as JSON, with `details` beside them."""

    def __init__(self, status: int, error: str, hint: str = "", **details: Any) -> None:
        super().__init__(error)
        self.status, self.error, self.hint, self.details = status, error, hint, details

    @property
    def body(self) -> bytes:
        """What the client is told."""
        return as_json({"error": self.error, "hint": self.hint, **self.details})

    @property
    def headers(self) -> dict[str, str]:
        """Those that belong to it."""
        found = {"Content-Type": "application/json", "Content-Length": str(len(self.body))}
        return found | ({"Retry-After": "1"} if self.status == 503 else {})


def as_json(content: Mapping[str, Any]) -> bytes:
    """An answer as JSON, in ASCII: a name may have half of a character in it, which is no UTF-8."""
    return json.dumps(content, allow_nan=False).encode()


def failed() -> ProblemError:
    """For an error of ours: what it is goes to standard error, and not to a client."""
    return ProblemError(500, "the server failed to answer", "the request is not to blame; standard error says more")
