//! Skeleton.
#![allow(dead_code, unused_imports, reason = "while the rooms are being filled")]
mod xml;
