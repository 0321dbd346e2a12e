//! Waits until the system has delivered what was sent over the loopback interface.
//!
//! Linux puts each packet into a queue of the processor that sent it. It is usually taken out at once,
//! but on a busy machine by a thread of the system that waits for its turn, as long as milliseconds. A
//! byte sent over a Unix socket overtakes it.

use std::fs;
use std::time::Duration;

use tokio::time::{Instant, sleep};

/// The counters of these queues.
const COUNTERS: &str = "/proc/net/softnet_stat";
/// Columns: packets taken out so far, and packets that wait.
const TAKEN: usize = 0;
const WAITING: usize = 11;

/// How long to wait at most.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long a queue is left to itself.
const PAUSE: Duration = Duration::from_micros(500);

/// Returns when everything that was sent before the call has been delivered. At once where the system
/// does not tell.
#[expect(clippy::disallowed_methods, reason = "the system raises no event")]
pub(super) async fn delivered() {
    let Some(before) = queues() else { return };
    if before.iter().all(|queue| queue.waiting == 0) {
        return;
    }
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end && queues().is_some_and(|now| !have_passed(&before, &now)) {
        sleep(PAUSE).await;
    }
}

/// The queue of one processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Queue {
    /// Packets taken out so far. Begins anew at 2³².
    taken: u32,
    /// Packets in it.
    waiting: u32,
}

fn queues() -> Option<Vec<Queue>> {
    parse(&fs::read_to_string(COUNTERS).ok()?)
}

/// Nothing for systems that do not count what waits (before Linux 5.10).
fn parse(counters: &str) -> Option<Vec<Queue>> {
    let number = |word: &str| u32::from_str_radix(word, 16).ok();
    let queue = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        Some(Queue {
            taken: number(words.get(TAKEN)?)?,
            waiting: number(words.get(WAITING)?)?,
        })
    };
    counters.lines().map(queue).collect()
}

/// Whether what was in the queues has been taken out.
fn have_passed(before: &[Queue], now: &[Queue]) -> bool {
    let pairs = before.iter().zip(now);
    pairs.into_iter().all(|(before, now)| {
        now.waiting == 0 || now.taken.wrapping_sub(before.taken) >= before.waiting
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const TWO: &str = "\
ffffffff 00000000 00000005 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000002 00000000 00000002 00000000
09363e76 00000000 00000009 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000001 00000000 00000000
";

    fn queue(taken: u32, waiting: u32) -> Queue {
        Queue { taken, waiting }
    }

    #[test]
    fn each_processor_has_a_queue() {
        let read = parse(TWO).expect("counters");
        assert_eq!(read, [queue(u32::MAX, 2), queue(0x0936_3e76, 0)]);
        assert_eq!(parse("00000001 00000000 00000000\n"), None, "an old system");
        assert_eq!(parse("it is no number\n"), None);
    }

    #[test]
    fn what_waited_has_passed_once_as_much_was_taken_out() {
        let before = [queue(u32::MAX, 2), queue(7, 0)];
        let passed = |now: [Queue; 2]| have_passed(&before, &now);
        assert!(!passed([queue(u32::MAX, 2), queue(7, 0)]));
        assert!(!passed([queue(0, 1), queue(90, 0)]), "one of two");
        assert!(passed([queue(1, 5), queue(7, 3)]), "others came behind");
        assert!(passed([queue(u32::MAX, 0), queue(7, 0)]));
    }

    #[tokio::test]
    async fn a_datagram_is_there_afterwards() {
        let socket = || UdpSocket::bind("127.0.0.1:0").expect("a port");
        let (near, far) = (socket(), socket());
        far.set_nonblocking(true).expect("a socket");
        for number in 0..100_u8 {
            let address = far.local_addr().expect("bound");
            near.send_to(&[number], address).expect("there is room");
            delivered().await;
            let mut buffer = [0];
            far.recv(&mut buffer).expect("it has arrived");
            assert_eq!(buffer, [number]);
        }
    }
}
