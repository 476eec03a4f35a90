"""dispytch beside hand-written code and other frameworks, in one run: see docs/benchmarks.md.

Imported in the environments of other frameworks as well, so nothing is imported here.
"""
