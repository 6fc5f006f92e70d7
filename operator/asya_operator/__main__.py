"""`python -m asya_operator`."""

import os
import sys

from asya_operator.app import main

code = main()
sys.stderr.flush()
# Kopf's thread may hold a watch open; the lease is released, so nothing is lost by not waiting for it.
os._exit(code)
