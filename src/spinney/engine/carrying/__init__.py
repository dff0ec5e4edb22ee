"""Carrying out on hosts what is decided and stored."""
