"""`python -m asya_cli`: the same as `asya`."""

from asya_cli.main import main

main()
