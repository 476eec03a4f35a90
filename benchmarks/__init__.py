"""dispytch beside hand-written code, measured in one run: see the README."""
