"""python -m aquila_jax VERB."""

import sys

from aquila_jax.cli import main

sys.exit(main())
