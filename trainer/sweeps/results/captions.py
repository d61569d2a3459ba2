"""What each picture of a sweep shows, and how it is read: one sentence by the stem of its file."""

import re

_CAPTIONS = {
    "history": "What each trial reached, in their order, and the best so far: where the line stays flat for long, more "
    "trials will hardly help.",
    "importance": "How much of the differences between trials each key explains: what matters little need not be "
    "searched, and what matters much deserves a narrower range.",
    "parallel": "A line for each setting through its values to what it reached: where the light lines meet on an axis, "
    "good values lie, and the red one is the best.",
}
_PAIR = (
    "The mean for each pair of values, with the best of the other keys: light cells are good, and the best is framed."
)
_KEY = "What each value reached: points are seeds or folds, with mean and standard deviation; the star is the best."
_OBJECTIVE = re.compile(r"(train|val|test)_[a-z0-9]+(_[a-z0-9]+)*-")  # before the name, where there are several


def caption(stem: str) -> str:
    """What the picture `stem`.png of a sweep shows and how it is read."""
    name = _OBJECTIVE.sub("", stem, count=1)
    return _CAPTIONS.get(name) or (_PAIR if "-" in name else _KEY)
