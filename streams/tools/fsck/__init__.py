"""An independent check: what must be searchable, rebuilt from the topics, against what is.

It shares the message formats (`schemas`) with the pipelines and the index, and no code beyond them:
a mistake there must not be repeated here. `tests/unit/streams/tools/fsck/test_imports.py` holds it.
"""
