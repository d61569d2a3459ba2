"""`python -m trainer` is the same program as `trainer`."""

import sys

from trainer.cli import main

sys.exit(main())
