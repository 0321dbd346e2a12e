//! Streams: header, features, errors; the initiating and the receiving machine.
