//! What a connection does when the proxy reads its configuration again, and how it is known meanwhile.

use super::Serving;
use crate::certificate::{Fault, Judged};
use crate::domain::Pair;
use crate::inbound::action::Action;
use crate::negotiation::Method;
use crate::register::{Opener, Stream};
use crate::stream::Condition;

impl Serving {
    /// Goes on by the configuration of a reload, or ends the stream if what was agreed on it does not hold any more.
    pub(super) fn adapt(&mut self, id: &str, actions: &mut Vec<Action>) {
        if !self.renew() {
            tracing::info!(peer = %self.peer, "the partner's settings are others now");
            self.forget();
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
        let config = &self.context.config;
        let partners = self.partners.keys();
        let mut partners = partners.filter_map(|domain| config.partner(domain));
        self.keep_alive = partners.any(|partner| partner.keep_alive);
    }

    /// Goes on by the configuration of a reload. Returns whether what was agreed holds by it.
    pub(in crate::inbound) fn renew(&mut self) -> bool {
        let newer = self.context.newest();
        let older = std::mem::replace(&mut self.context, newer);
        self.sending.renew(&self.context);
        let config = &self.context.config;
        let agreed = self.state.agreed();
        let mut agreed = agreed.iter();
        let mut partners = self.partners.keys();
        agreed.all(|pair| config.upholds(&older.config, &pair.to, &pair.from))
            && partners.all(|domain| config.partner(domain).is_some())
    }

    pub(in crate::inbound) fn register(&mut self, pair: Pair, method: Method) {
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
