"""Predictions from a model bundle, with their explanation, without TensorFlow."""
