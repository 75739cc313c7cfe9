"""Commands that measure: a run, a watch, a search for a release, profiles."""
