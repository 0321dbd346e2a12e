//! Takes the connections of whoever dials a partner.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::time::timeout;

use super::hole::Hole;
use super::place::Ending;
use super::settle::{Ahead, Requests};
use super::{FAREWELL, Shared, connection};
use crate::board::Begins;
use crate::event::ConnectionKind;
use crate::stream::Purpose;

/// A port that takes connections, or will.
pub(super) enum Listener {
    Open(Ending),
    /// Connections are swallowed until this signal is raised.
    Hole(Hole, Option<String>),
}

impl Listener {
    pub(super) async fn at(address: SocketAddr, begins: Begins) -> io::Result<Self> {
        let until = match begins {
            Begins::Plain(true) => {
                return TcpListener::bind(address).await.map(Ending).map(Self::Open);
            }
            Begins::Plain(false) => None,
            Begins::When(name) => Some(name),
        };
        Ok(Self::Hole(Hole::at(address).await?, until))
    }

    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Open(listener) => listener.0.local_addr(),
            Self::Hole(hole, _) => hole.address(),
        }
    }

    /// Serves connections until the partner is stopped.
    pub(super) async fn serve(self, shared: Arc<Shared>, mut requests: Requests) {
        let listener = match self {
            Self::Open(listener) => listener,
            Self::Hole(hole, until) => match opened(hole, until, &shared, &mut requests).await {
                Some(listener) => listener,
                None => return,
            },
        };
        accept(shared, listener, requests).await;
    }
}

/// A hole once it is open; nothing if the partner is stopped before.
async fn opened(
    hole: Hole,
    until: Option<String>,
    shared: &Shared,
    requests: &mut Requests,
) -> Option<Ending> {
    let mut stop = shared.stop.clone();
    let raised = async {
        match &until {
            Some(name) => shared.board.wait_for(name).await,
            None => std::future::pending().await,
        }
    };
    let mut raised = std::pin::pin!(raised);
    loop {
        tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return None,
            _ = &mut raised => break,
            Some(done) = requests.recv() => {
                // The waiter may have given up.
                let _ = done.send(Ahead::Nothing);
            }
        }
    }
    let opened = hole.open().await;
    opened
        .inspect_err(|error| tracing::warn!(%error, "cannot accept"))
        .ok()
}

async fn accept(shared: Arc<Shared>, listener: Ending, mut requests: Requests) {
    let mut stop = shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stopped| *stopped) => return,
            accepted = listener.0.accept() => accepted,
            Some(done) = requests.recv() => {
                // The waiter may have given up.
                let _ = done.send(Ahead::Nothing);
                continue;
            }
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept");
                // Usually out of file descriptors: other connections have to end first.
                let stopped = timeout(FAREWELL, stop.wait_for(|stopped| *stopped)).await;
                if stopped.is_ok() {
                    return;
                }
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&shared.slots).try_acquire_owned() else {
            tracing::warn!(domain = shared.config.domain, "too many connections");
            continue;
        };
        let shared = Arc::clone(&shared);
        let number = shared.numbers.next(ConnectionKind::Outbound);
        // At once: the tasks of two connections may begin in any order.
        let opened = shared.opened(stream, Purpose::Serve.kind());
        tokio::spawn(async move {
            connection::run(&shared, opened, Purpose::Serve, number, None, None).await;
            drop(slot);
        });
    }
}
