"""The measured process as its supervisor sees it: how it is started, read, guarded, and how it failed."""
