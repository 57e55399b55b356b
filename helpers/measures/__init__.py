"""Measures of similarity between two layers: one file a measure, and a registry of all of them."""
