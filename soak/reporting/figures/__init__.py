"""The figures, as SVG."""
