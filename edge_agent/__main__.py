"""`python -m edge_agent`."""

import sys

# structlog loads rich, where there is one, to paint tracebacks: 6 MiB that no gateway has use for.
sys.modules["rich"] = None  # type: ignore[assignment]

from edge_agent.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
