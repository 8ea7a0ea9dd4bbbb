"""`python -m scenarios.cli`: the command line."""

from scenarios.cli.main import main

main()
