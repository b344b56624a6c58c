"""Pneumo: explore chest radiographs, train a pneumonia classifier, question its predictions."""

__version__ = "0.1.0"
