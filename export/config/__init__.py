"""What a training is asked for: one TOML file, read into frozen records."""
