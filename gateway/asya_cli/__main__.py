"""`python -m asya_cli`: the `asya` command for images whose Python is not the one on the PATH."""

from asya_cli.main import main

main()
