"""`python -m cloud_api`."""

from __future__ import annotations

import sys

from cloud_api.main import main

sys.exit(main())
