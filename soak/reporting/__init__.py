"""What shows: the terminal, ``report.html``, ``report.md``, ``report.json``, ``junit.xml``, CSV and the figures.

Every module here turns a ``RunResult`` (and, for figures and CSV, the raw readings) into text. ``sentences`` has the
plain words they share; ``write`` puts a whole run's reports into its folder. Only ``figures`` imports matplotlib and
only ``terminal`` imports rich, so that whoever needs neither pays for neither.
"""
