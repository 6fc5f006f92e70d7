"""`python -m asya_operator`."""

import os
import sys

from asya_operator.app import main

code = main()
sys.stderr.flush()
# Kopf's thread may hold a watch open. The lease is already released, so nothing is lost by not waiting for the thread.
os._exit(code)
