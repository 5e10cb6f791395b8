"""The demonstration: a broker, a worker and a catalog, with searches and events measured."""
