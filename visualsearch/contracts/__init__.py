"""The messages of visualsearch as Python types: events, requests, results, heartbeats, records.

Each type is a msgspec struct; the text under a field says what the field means. The JSON Schemas
and the AsyncAPI document are generated from these types (`visualsearch schemas`).

Compatibility within a major version (`info.version` of the AsyncAPI document):

- Whoever publishes events and requests may rely on this: what is accepted today stays accepted and
  keeps its meaning. New fields are optional. An event may have fields that are not known, and they
  are ignored. A request with a field that is not known is refused with `field_unknown`.
- Whoever reads results and heartbeats ignores fields that it does not know, at every level. New
  fields may appear, and a field whose text says so may have new values. Fields are never
  removed, and their types and meanings never change.
- A result's `status` is `ok`, `partial` or `error`. A reader that meets another one treats it as
  `error` if `error` is set, else as `partial`.
- Records of the index log are internal: their format has a version of its own.
"""
