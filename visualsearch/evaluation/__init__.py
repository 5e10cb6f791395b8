"""Evaluation of answers: ranking metrics per query, confidence intervals and tests."""
