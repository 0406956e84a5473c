"""`python -m stream_processor.bridge`."""

import sys

from stream_processor.bridge.main import main

sys.exit(main())
