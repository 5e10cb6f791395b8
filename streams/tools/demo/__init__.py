"""The demonstration: a broker, a worker and a catalogue; searches and events, measured."""
