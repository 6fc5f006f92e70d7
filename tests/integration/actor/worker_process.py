"""The worker as a program of its own, as its variables describe it."""

import sys

from asya_actor.app import main
from asya_actor.settings import worker_settings

if __name__ == "__main__":
    sys.exit(main([worker_settings()]))
