"""`python -m runtime` is `nightscope`."""

from runtime.cli import main

main()
