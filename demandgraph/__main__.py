"""`python -m demandgraph` is `demandgraph`."""

import sys

from demandgraph.cli import main

sys.exit(main())
