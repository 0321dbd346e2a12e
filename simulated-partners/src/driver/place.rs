//! Addresses that stay the same while partners come and go.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;

use socket2::{Domain, Socket, Type};

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

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

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

    /// Listens as partners do.
    fn listen(address: SocketAddr) -> TcpListener {
        let (socket, _) = reserve(address).expect("only held, not listened at");
        socket.listen(8).expect("nobody listens");
        socket.into()
    }
}
