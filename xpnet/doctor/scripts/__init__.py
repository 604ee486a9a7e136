"""The doctor on people's own scripts: watch an unchanged script train, and say what is wrong."""
