"""The serial line to stage, light and turret: transport, codec, session, drivers, emulator."""
