"""Bars that are made of trades and mended by REST: which periods there are, what is known of each."""
