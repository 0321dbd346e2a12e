//! Loopback addresses that nobody else uses.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// A loopback address that no other lab, case or process currently uses.
pub(crate) fn own_loopback() -> Ipv4Addr {
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    loopback(
        std::process::id()
            .wrapping_mul(0x9E37_79B1)
            .wrapping_add(number),
    )
}

/// Where the partners of a lab listen: an address of its own, so that a connection that is late for a partner of
/// another lab never reaches one of this lab at the same port. Some systems have only 127.0.0.1.
pub(super) fn of_partners() -> IpAddr {
    let own = own_loopback();
    let is_there = UdpSocket::bind((own, 0)).is_ok();
    if is_there { own } else { Ipv4Addr::LOCALHOST }.into()
}

/// The address for a number: neither in 127.0.0.0/16 nor ending in 0 or 255. Numbers
/// close together have different addresses.
fn loopback(number: u32) -> Ipv4Addr {
    let [_, _, first, second] = (number / 254).to_be_bytes();
    let last = (number % 254) as u8 + 1;
    Ipv4Addr::new(127, first.max(1), second, last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::loopback;

    #[test]
    fn addresses_that_are_taken_together_differ() {
        for start in [0, 0x0000_FFF0, 0x00FF_FF00, 0x9E37_0000, u32::MAX - 1000] {
            let addresses: BTreeSet<_> = (start..start + 1000).map(loopback).collect();
            assert_eq!(addresses.len(), 1000, "from {start:#x}");
            for address in addresses {
                let [_, first, _, last] = address.octets();
                assert!(first > 0 && last > 0 && last < 255, "{address}");
            }
        }
    }
}
