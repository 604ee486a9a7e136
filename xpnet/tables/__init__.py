"""Tables: reading them, checking them, and turning columns into numbers."""
