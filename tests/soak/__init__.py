"""The reliability suite: real trainers that are killed, stopped, run out of disk, and have to end as if undisturbed.

`python -m tests.soak [NAME ...] [--count N]` runs the full counts; `tests/test_reliability.py` a sample of each.
"""

import sys
from pathlib import Path

# `running`, `resuming` and the others are beside this package, where pytest finds them, too.
if str(Path(__file__).parent.parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).parent.parent))
