//! The door of the hub: where users sign in, and where it is asked how far it is.

use std::time::Duration;

use reference_proxy::Clock;
use tokio::sync::{mpsc, oneshot};

use crate::address::Bare;
use crate::event::{Event, SessionId, SignIn, SignInError};
use crate::session::Session;
use crate::withdrawal::Withdrawal;

/// How long withdrawals are waited for: a partner may have to be connected to first.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where users sign in.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) hub: mpsc::Sender<Event>,
    pub(crate) signed_out: mpsc::UnboundedSender<SessionId>,
    /// Stanzas that wait for one session.
    pub(crate) queue: usize,
}

impl Door {
    pub(crate) async fn sign_in(
        &self,
        user: &Bare,
        resource: Option<String>,
    ) -> Result<Session, SignInError> {
        let (queue, stanzas) = mpsc::channel(self.queue);
        let (answer, answered) = oneshot::channel();
        let wish = SignIn {
            user: user.clone(),
            resource,
            queue,
            answer,
        };
        let sent = self.hub.send(Event::SignIn(wish)).await;
        sent.map_err(|_| SignInError::Stopped)?;
        let (id, address) = answered.await.map_err(|_| SignInError::Stopped)??;
        Ok(Session {
            id,
            address,
            hub: self.hub.clone(),
            sign_out: self.signed_out.clone(),
            stanzas,
        })
    }
}

/// Waits until the withdrawals of the last reload are with the partners, at most for a while. Returns why
/// that is not certain.
pub(crate) async fn withdrawn(hub: mpsc::Sender<Event>, clock: Clock) -> Option<String> {
    let through = async {
        let mut withdrawal = so_far(&hub).await?;
        Some(match withdrawal.through().await {
            Ok(()) => so_far(&hub).await?.failed.map_or(Ok(()), Err),
            Err(why) => Err(why),
        })
    };
    let why = match clock.timeout(PATIENCE, through).await {
        Ok(None | Some(Ok(()))) => return None,
        Ok(Some(Err(why))) => why.to_owned(),
        Err(_) => format!("the proxy has not got all through within {PATIENCE:?}"),
    };
    tracing::warn!(why, "presence may not be withdrawn");
    Some(why)
}

/// None where the gateway stops.
async fn so_far(hub: &mpsc::Sender<Event>) -> Option<Withdrawal> {
    let (asks, answer) = oneshot::channel();
    hub.send(Event::Withdrawing(asks)).await.ok()?;
    answer.await.ok()
}
