"""A page on which a network learns, with a doctor that says live what is wrong."""
