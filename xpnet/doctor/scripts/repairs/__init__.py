"""Change a script's text: its lines as they should be."""
