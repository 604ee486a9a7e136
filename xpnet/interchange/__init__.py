"""Networks and models in the forms of other programs."""
