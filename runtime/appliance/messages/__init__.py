"""Who is told what became of a night, by mail, chat or whatever else Apprise reaches."""
