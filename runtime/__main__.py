"""`python -m runtime` is `nightscope`."""

from runtime.cli.verbs import main

main()
