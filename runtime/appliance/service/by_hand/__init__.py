"""The instrument by hand, without a night: a lease, and the process that has the devices open."""
