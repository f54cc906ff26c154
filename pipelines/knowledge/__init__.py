"""Documents -> passages -> vectors, a table that encodes questions, an index, and how good searching it is."""
