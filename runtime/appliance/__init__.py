"""What stands around the nights: installed models, flashing, the service, its page, messages."""
