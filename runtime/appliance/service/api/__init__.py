"""The service over HTTP: who gets in, what may be asked, and how it is answered."""
