"""The demonstration: a broker, a worker and a catalog; searches and events, measured."""
