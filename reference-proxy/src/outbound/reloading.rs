//! What a stream does when the proxy reads its configuration again, and how it is known meanwhile.

use super::open_stream::OpenStream;
use crate::certificate::{Fault, Judged, Stapled};
use crate::domain::Pair;
use crate::negotiation::Method;
use crate::register::{Opener, Stream};

impl OpenStream {
    /// Goes on by the configuration of a reload. Returns whether the stream may: by it, what was agreed has to
    /// hold for each pair, and the partner's certificate not to be revoked.
    pub(super) fn renew(&mut self) -> bool {
        let newer = self.context.newest();
        let older = std::mem::replace(&mut self.context, newer);
        self.sending.renew(&self.context);
        self.accepting.renew(&self.context);
        let config = &self.context.config;
        let upheld = |own, peer| config.upholds(&older.config, own, peer);
        let asked = self.asked.keys().chain([&self.pair]);
        let mut sent = self.sending.pairs().chain(asked);
        let mut accepted = self.accepting.pairs();
        if !sent.all(|pair| upheld(&pair.from, &pair.to))
            || !accepted.all(|pair| upheld(&pair.to, &pair.from))
        {
            tracing::info!(pair = %self.pair, "the partner's settings are others now");
            return false;
        }
        let (tls, certificates) = (&self.context.tls, self.connection.certificates());
        let judged = tls.judge_server(certificates, &Stapled::default(), &self.pair.to);
        if judged == Judged::Bad(Fault::Revoked) {
            tracing::info!(pair = %self.pair, "the partner's certificate is revoked");
            return false;
        }
        let partner = config.partner(&self.pair.to);
        self.keep_alive = partner.is_some_and(|partner| partner.keep_alive);
        true
    }

    /// Has it known that the stream is open for the pair.
    pub(super) fn enter(&mut self, pair: Pair, method: Method) {
        if let Some(entry) = &self.entry {
            return entry.carries(pair, method);
        }
        self.entry = Some(self.context.register.enter(Stream {
            opener: Opener::Proxy,
            pairs: vec![(pair, method)],
            tls: self.connection.tls_version(),
            peer: Some(self.address),
            since: self.context.clock.now(),
        }));
    }
}
