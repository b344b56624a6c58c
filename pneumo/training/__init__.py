"""From a recipe and a catalog to a model bundle, in a process of its own."""
