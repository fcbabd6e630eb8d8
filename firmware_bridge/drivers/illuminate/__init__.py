"""LED arrays with illuminate's firmware."""
