"""`nightscope`, which is `python -m runtime`: how it ends where Ctrl-C stops it while it loads."""

STOPPED = 130
"""As of `runtime.errors.Stopped`: that is a file more, and nothing is loaded for a Ctrl-C."""


def main() -> None:
    """Run `nightscope`. A Ctrl-C while the command line is loaded ends it without a word, exit code
    130: nothing has begun. Later ones are `runtime.cli.call`'s and the night's own.
    """
    try:
        # Only here, for a Ctrl-C during what takes most of the time until a verb begins.
        from runtime.cli.verbs import main as command_line

        command_line()
    except KeyboardInterrupt:
        raise SystemExit(STOPPED) from None


if __name__ == "__main__":
    main()
