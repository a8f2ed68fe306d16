"`python -m animlib`."

import sys

from animlib.cli import main

sys.exit(main())
