"""What a board does, without a line: the reference behaviour, and what emulators share."""
