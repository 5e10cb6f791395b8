"""Everything of visualsearch that has an effect: topics, lanes, log reader, web, CLI, broker."""
