//! Random bytes from the operating system.

use aws_lc_rs::rand;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has no random bytes")]
pub struct NoRandomness;

pub(crate) fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(bytes)
}

/// A stream id: 128 bits that nobody can guess (RFC 6120 §4.7.3).
///
/// # Errors
/// `NoRandomness` if the system has none.
pub fn stream_id() -> Result<String, NoRandomness> {
    random().map(|bytes| format!("{:032x}", u128::from_be_bytes(bytes)))
}
