"""The doctor: why a network does not learn, xpnet's or your own."""
