//! TLS of the partners: profiles, verifiers that record instead of refusing, hand-made legacy records.
