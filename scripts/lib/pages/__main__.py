"""`python3 -m pages`."""

import sys

from pages.main import main

sys.exit(main(sys.argv[1:]))
