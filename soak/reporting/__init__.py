"""What shows: the terminal, ``report.html``, ``report.md``, ``report.json``, ``junit.xml``, CSV and the figures.

Every module here turns a ``RunResult`` (and, for figures and CSV, the raw readings) into text. ``words`` has the
sentences they share, ``templates`` the markup of pages; ``write`` puts a whole run's reports into its folder. Only
``figures`` imports numpy, only ``terminal`` rich, and ``templating`` imports jinja when a page is made, so that whoever
needs none of them pays for none.
"""
