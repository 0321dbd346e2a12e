//! The local socket, where users of this machine sign in: a stream as on a link, over a Unix socket.
//!
//! Whoever may open the socket speaks for any local user, so only its owner may.

use std::time::Duration;

use reference_proxy::Clock;
use reference_proxy::wire::{
    Bounds, CLOSING, Condition, Connection, ControlSocket, Frame, Incoming, Lost, Opening,
    ReadHalf, Stage, Stanza, Stop, Tasks, Transport, is_error, stream_id,
};
use tokio::net::UnixStream;

use crate::address::Address;
use crate::config::Limits;
use crate::door::Door;
use crate::session::Session;

/// Pause after a failed accept, usually because file descriptors have run out.
const BREATH: Duration = Duration::from_millis(100);
/// How long a client's closing tag is waited for.
const FAREWELL: Duration = Duration::from_secs(1);

pub(crate) async fn listen(
    socket: ControlSocket,
    door: Door,
    limits: Limits,
    clock: Clock,
    tasks: Tasks,
) {
    let mut stop = tasks.stop();
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stop.asked() => return,
        };
        match accepted {
            Ok(stream) => {
                let serving = serve(
                    stream,
                    door.clone(),
                    limits.clone(),
                    clock.clone(),
                    tasks.stop(),
                );
                tasks.spawn_in(Stage::Partners, serving);
            }
            Err(error) => {
                tracing::error!(%error, "could not accept a local connection");
                let _ = clock.timeout(BREATH, stop.asked()).await;
            }
        }
    }
}

async fn serve(stream: UnixStream, door: Door, limits: Limits, clock: Clock, mut stop: Stop) {
    let bounds = Bounds {
        bytes: limits.stanza_bytes,
        depth: 64,
        attributes: 64,
    };
    let patience = limits.establishment_timeout;
    let mut connection = Connection::over(Transport::Local(stream), bounds, patience, &clock);
    let opening = clock.timeout(patience, open(&mut connection, &door));
    let session = tokio::select! {
        opened = opening => opened,
        () = stop.asked() => return,
    };
    match session {
        Ok(Ok(session)) => carry(connection, session).await,
        Ok(Err(reason)) => tracing::warn!(reason, "a local connection is refused"),
        Err(_) => tracing::warn!(reason = "too slow", "a local connection is refused"),
    }
}

/// The header, which says who signs in.
async fn open(connection: &mut Connection, door: &Door) -> Result<Session, String> {
    let lost = |lost: Lost| lost.to_string();
    let header = match connection.next().await.map_err(lost)? {
        Frame::Header(header) if header.is_server_stream() => header,
        _ => return Err("what came is no stream".to_owned()),
    };
    let id = stream_id().map_err(|error| error.to_string())?;
    let from = header.element.attribute("from").unwrap_or_default();
    let signed_in = match Address::parse(from) {
        Ok(Address { bare, resource }) => {
            let signed_in = door.sign_in(&bare, resource).await;
            signed_in.map_err(|error| error.to_string())
        }
        Err(error) => Err(format!("`{from}`: {error}")),
    };
    match signed_in {
        Ok(session) => {
            let greeting = Opening::new("gateway", Some(session.address()), Some(&id)).text();
            let greeting = greeting + "<stream:features/>";
            connection.send(greeting).await.map_err(lost)?;
            Ok(session)
        }
        Err(reason) => {
            let opening = Opening::new("gateway", Some(from), Some(&id));
            let refusal = opening.refusal(Condition::NotAuthorized, &reason);
            connection.send(refusal).await.map_err(lost)?;
            Err(reason)
        }
    }
}

/// Carries stanzas until the client goes, or the hub ends the session, as it does when the gateway stops.
async fn carry(connection: Connection, mut session: Session) {
    tracing::info!(user = session.address(), "signed in");
    let (mut incoming, mut outgoing) = connection.split();
    loop {
        let turn = tokio::select! {
            turn = read(&mut incoming) => turn,
            stanza = session.next() => stanza.map_or(Turn::End, Turn::Out),
        };
        match turn {
            Turn::In(stanza) => {
                if session.send(stanza).await.is_err() {
                    break;
                }
            }
            Turn::Out(stanza) => {
                if outgoing.send(&stanza.bytes).await.is_err() {
                    break;
                }
            }
            Turn::End => break,
        }
    }
    tracing::info!(user = session.address(), "signed out");
    drop(session);
    if outgoing.send(CLOSING.as_bytes()).await.is_ok() {
        outgoing.close().await;
        incoming.await_closing_tag(FAREWELL, "signed out").await;
    }
}

enum Turn {
    In(Stanza),
    Out(Stanza),
    End,
}

async fn read(incoming: &mut Incoming<ReadHalf<Transport>>) -> Turn {
    match incoming.next().await {
        Ok(Frame::Stanza(stanza)) => Turn::In(stanza),
        Ok(Frame::Element(element)) if is_error(&element) => Turn::End,
        Ok(Frame::Closed | Frame::Header(_) | Frame::Element(_) | Frame::Skipped(_)) | Err(_) => {
            Turn::End
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use crate::config::Config;
    use crate::fixture::link;
    use crate::gateway::{Gateway, StartError};
    use crate::session::stanza;
    use crate::talk::{Talk, TalkError};

    /// A gateway whose proxy is not there.
    fn config(folder: &Path) -> Config {
        let text = format!(
            "domains = ['contoso.com']\nlocal = 'gateway.sock'\nstate = 'state'\n\
             [link]\n{}[limits]\nsessions = 2\n[[proxy]]\naddress = 'localhost:1'\n\
             [[partner]]\ndomain = 'fabrikam.com'\n[[policy]]\nidentity = 'global'\n\
             enable-federation-access = true\nenable-xmpp-access = true\n\
             [[user]]\naddress = 'ana@contoso.com'\n[[user.contact]]\naddress = 'bob@fabrikam.com'\n",
            link("gateway.contoso.com")
        );
        let name = folder.join("gateway.toml");
        Config::from_toml(&text, &name.to_string_lossy()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[tokio::test]
    async fn users_sign_in_at_the_socket_and_are_told_what_is_wrong() {
        let folder = tempfile::tempdir().expect("a folder");
        let gateway = Gateway::start(config(folder.path())).expect("started");
        let socket = folder.path().join("gateway.sock");
        let mode = fs::metadata(&socket)
            .expect("a socket")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        for (user, reason) in [
            ("eve@contoso.com", "no such local user"),
            ("a b@c", "no username"),
        ] {
            match Talk::begin(&socket, user).await {
                Err(TalkError::Refused(why)) => assert!(why.contains(reason), "{why}"),
                other => panic!("{:?}", other.err()),
            }
        }
        let mut ana = Talk::begin(&socket, "Ana@contoso.com/desk")
            .await
            .expect("signed in");
        let message = stanza("<message to='bob@fabrikam.com'><body>x</body></message>");
        ana.send(&message.expect("a stanza")).await.expect("sent");
        let answer = ana.next().await.expect("an answer");
        assert_eq!(answer.to.as_deref(), Some("ana@contoso.com/desk"));
        let text = String::from_utf8(answer.bytes).expect("UTF-8");
        assert!(
            text.contains("<remote-server-timeout ") && text.contains("no proxy is connected"),
            "{text}"
        );
        let second = Talk::begin(&socket, "ana@contoso.com/desk")
            .await
            .expect("signed in");
        match Talk::begin(&socket, "ana@contoso.com").await {
            Err(TalkError::Refused(why)) => assert_eq!(why, "too many sessions"),
            other => panic!("{:?}", other.err()),
        }
        second.end().await;
        let busy = Gateway::start(config(folder.path())).expect_err("the socket is taken");
        assert!(matches!(busy, StartError::Local { .. }), "{busy}");
        gateway.stop().await;
        assert!(matches!(ana.next().await, Err(TalkError::Ended)));
        assert!(!socket.exists());
        let again = Gateway::start(config(folder.path())).expect("started again");
        again.stop().await;
    }
}
