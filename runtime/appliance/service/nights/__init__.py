"""Plans and their nights: the queue, the process of each night, and how far it is."""
