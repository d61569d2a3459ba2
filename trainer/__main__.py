"""`python -m trainer` is the same program as `trainer`."""

import sys

if not sys.flags.safe_path:
    # Python has put the current directory first: what lies there would be taken for modules of Python's own library.
    sys.path.append(sys.path.pop(0))

from trainer.cli.main import main

sys.exit(main())
