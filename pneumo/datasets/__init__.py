"""Where radiographs come from, what is known of each, and who belongs to which split."""
