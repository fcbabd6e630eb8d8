"""What people write: settings of the instrument, plans of a night, both read strictly."""
