//! Vectors, extensions, messages and records (RFC 8446 §3.4, §5.1).

use super::HANDSHAKE;
use crate::reaction::{Hello, HelloVersion};

/// The maximum size of a record (RFC 8446 §5.1).
const RECORD: usize = 16_384;

/// A record is never empty, and no hello needs more of them.
const SMALLEST_RECORD: usize = 1;

/// The version where all versions have it (RFC 8446 §4.1.2).
pub(super) fn legacy_version(version: HelloVersion) -> [u8; 2] {
    match version {
        HelloVersion::Ssl2 => [0, 2],
        HelloVersion::Ssl3 => [3, 0],
        HelloVersion::V10 => [3, 1],
        HelloVersion::V11 => [3, 2],
        HelloVersion::V12 | HelloVersion::V13 => [3, 3],
    }
}

/// Messages in records of the requested size.
pub(super) fn records(hello: &Hello, messages: &[u8]) -> Vec<u8> {
    let size = match hello.record {
        0 => RECORD,
        size => usize::from(size).clamp(SMALLEST_RECORD, RECORD),
    };
    let [major, minor] = legacy_version(hello.version);
    let mut out = Vec::new();
    for content in messages.chunks(size) {
        out.extend([HANDSHAKE, major, minor.min(3)]);
        vector16(&mut out, content);
    }
    out
}

pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![kind];
    vector24(&mut out, body);
    out
}

pub(super) fn protocols(names: &[String]) -> Vec<u8> {
    let mut list = Vec::new();
    for name in names {
        vector8(&mut list, name.as_bytes());
    }
    vectored(&list)
}

pub(super) fn numbers(values: &[u16]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_be_bytes())
        .collect()
}

pub(super) fn push_extension(extensions: &mut Vec<u8>, kind: u16, content: &[u8]) {
    extensions.extend(kind.to_be_bytes());
    vector16(extensions, content);
}

pub(super) fn vectored(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 2);
    vector16(&mut out, content);
    out
}

/// Vectors with lengths of one, two and three bytes (RFC 8446 §3.4). Overlong ones are truncated.
pub(super) fn vector8(out: &mut Vec<u8>, content: &[u8]) {
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    out.push(length);
    out.extend(&content[..length.into()]);
}

pub(super) fn vector16(out: &mut Vec<u8>, content: &[u8]) {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend(&content[..length.into()]);
}

pub(super) fn vector24(out: &mut Vec<u8>, content: &[u8]) {
    let length = u32::try_from(content.len()).unwrap_or_default();
    out.extend(&length.to_be_bytes()[1..]);
    out.extend(content);
}
