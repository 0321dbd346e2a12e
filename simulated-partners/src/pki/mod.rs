//! The lab's certificate factory: an authority and certificates of every kind, good and bad.
