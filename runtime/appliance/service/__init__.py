"""`nightscope serve`: a queue of nights, each in a process of its own, and the API to it."""
