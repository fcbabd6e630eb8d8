"""Our own protocol on the host's side: frames, commands, retries, one session a board."""
