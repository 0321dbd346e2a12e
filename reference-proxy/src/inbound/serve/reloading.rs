//! What a connection does when the proxy reads its configuration again, and how it is known meanwhile.

use std::sync::Arc;

use super::Serving;
use crate::certificate::{Fault, Judged};
use crate::domain::{Domain, Pair};
use crate::inbound::action::Action;
use crate::negotiation::Method;
use crate::register::{Opener, Stream};
use crate::stream::Condition;

impl Serving {
    /// Goes on by the configuration of a reload, or ends the stream if what was agreed on it does not hold any more.
    pub(super) fn adapt(&mut self, id: &str, actions: &mut Vec<Action>) {
        let newer = self.context.newest();
        let older = std::mem::replace(&mut self.context, newer);
        let config = Arc::clone(&self.context.config);
        let upheld = |own: &Domain, peer: &Domain| config.upholds(&older.config, own, peer);
        if !self
            .state
            .agreed()
            .iter()
            .all(|pair| upheld(&pair.to, &pair.from))
        {
            tracing::info!(peer = %self.peer, "the partner's settings are others now");
            self.finish(None, id, actions);
            return;
        }
        let theirs = self.state.by_sasl().cloned();
        if self.judge(theirs.as_ref()) == Judged::Bad(Fault::Revoked) {
            tracing::info!(peer = %self.peer, "the partner's certificate is revoked");
            let fatal = (Condition::Reset, "the certificate is revoked");
            self.finish(Some(fatal), id, actions);
            return;
        }
        let mut partners = self
            .partners
            .keys()
            .filter_map(|domain| config.partner(domain));
        self.keep_alive = partners.any(|partner| partner.keep_alive);
    }

    pub(super) fn register(&mut self, pair: Pair, method: Method) {
        if let Some(entry) = &self.entry {
            return entry.carries(pair, method);
        }
        self.entry = Some(self.context.register.enter(Stream {
            opener: Opener::Partner,
            pairs: vec![(pair, method)],
            tls: self.connection.tls_version(),
            peer: Some(self.peer),
            since: self.context.clock.now(),
        }));
    }
}
