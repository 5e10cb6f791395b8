"""The messages of visualsearch as Python types: events, requests, results, heartbeats, records.

Each type is a msgspec struct; the text under a field says what the field means. The JSON Schemas
and the AsyncAPI document are generated from these types (`visualsearch schemas`).

Compatibility within a major version (`info.version` of the AsyncAPI document):

- For publishers of events and requests: valid messages stay valid and keep their meaning. New
  fields are optional. Unknown fields of an event are ignored. A request with an unknown field is
  refused with `field_unknown`.
- Readers of results and heartbeats must ignore unknown fields, at every level. New fields may
  appear, and a field whose text says so may have new values. Fields are never removed, and their
  types and meanings never change.
- A result's `status` is `ok`, `partial` or `error`. A reader treats any other status as
  `error` if `error` is set, else as `partial`.
- Records of the index log are internal: their format has a version of its own.
"""
