//! SASL EXTERNAL and server dialback, as stateless elements and checks.
//!
//! The order in which they happen is the business of [`stream`](crate::stream).

pub mod dialback;
pub mod guess;
pub mod sasl;

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out
}
