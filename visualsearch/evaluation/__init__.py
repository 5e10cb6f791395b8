"""How good answers are: ranking metrics per query, and what samples of queries can say."""
