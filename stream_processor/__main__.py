"""`python -m stream_processor`."""

import sys

from stream_processor.main import main

sys.exit(main())
