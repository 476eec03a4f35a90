"""Hostile input for everything that reads bytes: ``hatch run fuzz``.

Each target takes bytes and hands them to one reader as a broker would. The fuzzer mutates the seeds
of a target, guided by the lines that they reach. A finding is an error that is not documented, a
text that shows what it must not, or time or memory out of proportion to the input.
"""
