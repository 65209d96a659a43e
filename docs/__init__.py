"""How the documentation is built, and the pages of it that are made of the code."""
