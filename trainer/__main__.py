"""`python -m trainer` is the same program as `trainer`."""

import sys

from trainer.cli.main import main

sys.exit(main())
