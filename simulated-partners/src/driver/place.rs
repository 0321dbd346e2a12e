//! Addresses that stay the same while partners come and go.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use socket2::{Domain, SockRef, Socket, Type};
use tokio::net::TcpListener;

/// Ports that the system gives to no connection.
const SPARE: RangeInclusive<u16> = 30_000..=32_767;

/// An address held for partners that listen there one after the other. Between two of them,
/// connections are refused.
#[derive(Debug)]
pub struct Place {
    address: SocketAddr,
    _held: Socket,
    /// Nobody else can hold the port meanwhile: TCP ports can be bound twice, these cannot.
    _guard: Option<UdpSocket>,
}

impl Place {
    /// Holds a free port of an address.
    ///
    /// # Errors
    /// When there is none.
    pub fn anywhere(address: IpAddr) -> io::Result<Self> {
        match reserve(SocketAddr::new(address, 0)) {
            Ok((held, address)) => Ok(Self {
                address,
                _held: held,
                _guard: None,
            }),
            Err(none) => Self::beyond(address).ok_or(none),
        }
    }

    /// The same where the system has none left to give: each connection of the last minute still has one.
    fn beyond(address: IpAddr) -> Option<Self> {
        SPARE
            .into_iter()
            .find_map(|port| Self::at((address, port).into()).ok())
    }

    /// Holds a port.
    ///
    /// # Errors
    /// When somebody else has it.
    pub fn at(address: SocketAddr) -> io::Result<Self> {
        let guard = UdpSocket::bind(address)?;
        let (held, address) = reserve(address)?;
        Ok(Self {
            address,
            _held: held,
            _guard: Some(guard),
        })
    }

    /// The address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Binds a port without listening, so connections to it are refused. Partners can listen there.
pub(super) fn reserve(address: SocketAddr) -> io::Result<(Socket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    let bound = socket
        .local_addr()?
        .as_socket()
        .ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, bound))
}

/// Takes connections as long as it lives. A process that is just being started has copies of all sockets for a
/// moment, and closing ours alone would leave the port taken.
pub(super) struct Ending(pub(super) TcpListener);

impl Drop for Ending {
    fn drop(&mut self) {
        // It listens, so there is nothing that could fail.
        let _ = SockRef::from(&self.0).shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpStream};

    use super::*;

    #[test]
    fn listeners_follow_each_other_and_between_them_nobody_answers() {
        let place = Place::anywhere(Ipv4Addr::LOCALHOST.into()).expect("a free port");
        let connect = || TcpStream::connect(place.address());
        assert!(connect().is_err(), "nobody listens yet");
        for _ in 0..3 {
            let listener = listen(place.address());
            let dialled = connect().expect("somebody listens");
            let accepted = listener.accept().expect("it has come");
            drop(listener);
            assert!(connect().is_err(), "nobody listens any more");
            drop((dialled, accepted));
        }
    }

    #[test]
    fn there_is_a_port_where_the_system_gives_none() {
        let places = [(); 3].map(|()| Place::beyond(Ipv4Addr::LOCALHOST.into()).expect("a port"));
        let mut ports = places.each_ref().map(|place| place.address().port());
        ports.sort_unstable();
        assert!(
            ports.is_sorted_by(|a, b| a < b),
            "each has its own: {ports:?}"
        );
        for place in &places {
            listen(place.address());
        }
    }

    #[test]
    fn a_held_port_is_nobody_elses() {
        let mut ports = (20_000..30_000).map(|port| (Ipv4Addr::LOCALHOST, port).into());
        let place = ports.find_map(|address| Place::at(address).ok());
        let place = place.expect("one of these is free");
        let address = place.address();
        assert!(Place::at(address).is_err(), "it is held");
        drop(place);
        assert!(Place::at(address).is_ok(), "it is free again");
    }

    #[tokio::test]
    async fn a_port_is_free_though_a_copy_of_its_listener_is_left() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let copy = SockRef::from(&listener).try_clone().unwrap();
        drop(Ending(listener));
        let again = TcpListener::bind(address).await.expect("it is free");
        drop((copy, again));
    }

    /// Listens as partners do.
    fn listen(address: SocketAddr) -> std::net::TcpListener {
        let (socket, _) = reserve(address).expect("only held, not listened at");
        socket.listen(8).expect("nobody listens");
        socket.into()
    }
}
