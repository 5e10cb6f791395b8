"""An independent check: the expected products, rebuilt from the topics, against the served ones.

It shares the message formats (`visualsearch.contracts`) with the pipelines and the index, and no
code beyond them: it must not repeat their mistakes. `test_imports.py` enforces that.
"""
