"""A catalog as files: read row by row, made into product events, published, waited for."""
