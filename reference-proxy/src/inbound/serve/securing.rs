//! TLS on a partner's connection: from its first byte, or by STARTTLS.

use std::sync::Arc;

use rustls::ServerConfig;

use super::{Gone, Serving};
use crate::certificate::CertificateRequest;
use crate::domain::Domain;
use crate::inbound::action::Input;
use crate::inbound::receiving::Receiving;
use crate::inbound::refusal::Refused;
use crate::ledger::Phase;
use crate::stream::Tls;

impl Serving {
    /// Starts with TLS if the peer does.
    pub(super) async fn begin(&mut self) -> Result<(), Gone> {
        let due = self.due();
        let direct = tokio::select! {
            first = self.context.clock.timeout_at(due, self.connection.begins_with_tls()) => first.unwrap_or(false),
            () = self.stop.asked() => false,
        };
        if direct {
            self.handshake(self.context.tls.direct_acceptor()).await?;
            self.state = Receiving::new(true);
        }
        Ok(())
    }

    /// Carries out STARTTLS. If the handshake fails, the connection ends silently (RFC 6120
    /// §5.4.3.2).
    pub(in crate::inbound) async fn secure(
        &mut self,
        own: &Domain,
        request: &CertificateRequest,
    ) -> Result<(), Gone> {
        let acceptor = self.context.tls.acceptor(own, request);
        let acceptor = acceptor.map_err(|error| {
            tracing::error!(%error, "could not set up TLS");
            Gone
        })?;
        self.handshake(acceptor).await?;
        self.input(Input::Secured, &mut Vec::new());
        Ok(())
    }

    async fn handshake(&mut self, config: Arc<ServerConfig>) -> Result<(), Gone> {
        let due = self.due();
        let secured = self.connection.secure(Tls::Accept(config));
        let why = match self.context.clock.timeout_at(due, secured).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(lost)) => lost.reason(),
            Err(_) => "no handshake in time".to_owned(),
        };
        let claimed = self.state.claimed();
        self.enter(Refused::by_proxy(Phase::Tls, "handshake", claimed, &why));
        Err(Gone)
    }
}
