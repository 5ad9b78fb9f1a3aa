"""`python3 -m faults`."""

import sys

from faults.main import main

sys.exit(main(sys.argv[1:]))
