"""Helpers of the end-to-end suites and the bench: git repositories, a git server, the daemon and its command line. Standard library only."""
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[3]  # of the project
