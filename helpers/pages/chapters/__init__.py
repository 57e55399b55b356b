"""What single chapters show: pictures of the theory, worked families of examples, the algorithms line by line."""
