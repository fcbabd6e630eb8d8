"""Training configurations: one TOML file each, read into frozen records."""
