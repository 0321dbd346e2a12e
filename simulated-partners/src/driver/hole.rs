//! A port that swallows connections, as a firewall does: a SYN gets no answer at all.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::place::{Ending, reserve};

/// How long a connection takes on this machine at most. One that takes longer is not answered.
const ANSWER: Duration = Duration::from_millis(200);
/// How many connections systems keep beyond the length of a queue.
const MOST: usize = 16;
/// The usual length of a queue.
const QUEUE: i32 = 1024;

/// A listener whose queue is full, so that the system drops whatever else comes.
pub(super) struct Hole {
    listener: Ending,
    queued: Vec<TcpStream>,
}

impl Hole {
    /// Digs it at an address.
    ///
    /// # Errors
    /// When nobody can listen there, or when the system answers all connections.
    pub(super) async fn at(address: SocketAddr) -> io::Result<Self> {
        let (socket, address) = reserve(address)?;
        socket.set_nonblocking(true)?;
        socket.listen(0)?;
        let listener = Ending(TcpListener::from_std(socket.into())?);
        let mut queued = Vec::new();
        while queued.len() < MOST {
            match timeout(ANSWER, TcpStream::connect(address)).await {
                Ok(stream) => queued.push(stream?),
                Err(_) => return Ok(Self { listener, queued }),
            }
        }
        Err(io::Error::other("the queue of a listener is never full"))
    }

    /// Where it is.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.listener.0.local_addr()
    }

    /// Fills it up: what was sent here comes through when its sender tries again.
    ///
    /// # Errors
    /// When the system does not let the queue grow.
    pub(super) async fn open(self) -> io::Result<Ending> {
        SockRef::from(&self.listener.0).listen(QUEUE)?;
        for _ in &self.queued {
            self.listener.0.accept().await?;
        }
        Ok(self.listener)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[tokio::test]
    async fn a_hole_answers_nobody_until_it_is_open() {
        let hole = Hole::at((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = hole.address().unwrap();
        let early = tokio::spawn(TcpStream::connect(address));
        let other = timeout(ANSWER, TcpStream::connect(address)).await;
        assert!(other.is_err(), "nobody answers");
        assert!(!early.is_finished());
        let listener = hole.open().await.unwrap();
        // The system sends its SYN again.
        let early = early.await.unwrap().unwrap();
        let (_, from) = listener.0.accept().await.unwrap();
        assert_eq!(from, early.local_addr().unwrap());
        let later = TcpStream::connect(address).await.unwrap();
        let (_, from) = listener.0.accept().await.unwrap();
        assert_eq!(from, later.local_addr().unwrap());
    }
}
