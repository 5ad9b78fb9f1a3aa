"""``python3 -m bcrl``: the command ``bcrl-folder``."""

import sys

from ._cli import main

sys.exit(main())
