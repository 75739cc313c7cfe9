"""The rules: each says when one kind of ground holds. Which rule overrules which is in the table of precedence."""
