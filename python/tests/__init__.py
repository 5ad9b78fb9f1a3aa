"""Tests of the package, with the standard library alone.

usage: python3 -m unittest discover -s python/tests -t python

Where BCRL_BIN_DIR names the folder of the built programs (bcrl, bcrl-api, bcrl-worker), the tests
against the services run as well, and a missing program is a failure. Without it they are skipped.
"""
