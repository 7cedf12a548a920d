"""How fast the two plugins are, beside the ordinary ways and the machine's limit."""
