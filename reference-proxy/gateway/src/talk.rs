//! Signing in at the local socket, for whoever tries the gateway.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reference_proxy::Clock;
use reference_proxy::wire::{
    Bounds, CLOSING, Connection, Frame, Lost, Opening, Stanza, Transport, is_error,
    namespace::STREAM_ERRORS,
};
use tokio::net::UnixStream;

/// How long the gateway may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no talk with the gateway.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TalkError {
    #[error("no gateway listens at {}", path.display())]
    NoGateway {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the gateway refuses: {0}")]
    Refused(String),
    #[error("the gateway ended the session")]
    Ended,
    #[error("the connection with the gateway broke")]
    Lost(#[from] Lost),
    #[error("the gateway did not answer within {PATIENCE:?}")]
    Late,
}

/// A user who is signed in over the socket.
pub(crate) struct Talk {
    connection: Connection,
}

impl Talk {
    pub(crate) async fn begin(socket: &Path, user: &str) -> Result<Self, TalkError> {
        let connected = UnixStream::connect(socket).await;
        let stream = connected.map_err(|source| TalkError::NoGateway {
            path: socket.to_owned(),
            source,
        })?;
        let bounds = Bounds {
            bytes: 1 << 20,
            depth: 64,
            attributes: 64,
        };
        let clock = Clock::default();
        let mut connection = Connection::over(Transport::Local(stream), bounds, PATIENCE, &clock);
        let opening = async {
            let header = Opening::new(user, None, None).text();
            connection.send(header).await?;
            match connection.next().await? {
                Frame::Header(_) => {}
                _ => return Err(TalkError::Ended),
            }
            match connection.next().await? {
                Frame::Element(element) if is_error(&element) => {
                    let text = element.child(STREAM_ERRORS, "text");
                    let text = text.map_or("without a reason", |text| text.text.as_str());
                    Err(TalkError::Refused(text.to_owned()))
                }
                _ => Ok(()),
            }
        };
        let opened = clock.timeout(PATIENCE, opening).await;
        opened.map_err(|_| TalkError::Late)??;
        Ok(Self { connection })
    }

    pub(crate) async fn send(&mut self, stanza: &Stanza) -> Result<(), TalkError> {
        Ok(self.connection.send(&stanza.bytes).await?)
    }

    pub(crate) async fn next(&mut self) -> Result<Stanza, TalkError> {
        loop {
            match self.connection.next().await? {
                Frame::Stanza(stanza) => return Ok(stanza),
                Frame::Closed => return Err(TalkError::Ended),
                Frame::Element(_) | Frame::Header(_) | Frame::Skipped(_) => {}
            }
        }
    }

    pub(crate) async fn end(mut self) {
        if self.connection.send(CLOSING).await.is_ok() {
            self.connection.close().await;
        }
    }
}
