"""Tests for those who write a backend; `dispytch.testing.transport` needs pytest."""
