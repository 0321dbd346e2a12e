//! The door of the hub: where users sign in.

use tokio::sync::{mpsc, oneshot};

use crate::address::Bare;
use crate::event::{Event, SessionId, SignIn, SignInError};
use crate::session::Session;

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
