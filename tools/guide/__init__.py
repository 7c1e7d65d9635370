"""The whole exercise as steps that run, are checked, and make docs/guide.md: python -m tools.guide --help."""
