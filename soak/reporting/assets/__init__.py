"""Scripts and styles of the live page. uPlot 1.6.32 (MIT, see uPlot.LICENSE) is as it was published."""
