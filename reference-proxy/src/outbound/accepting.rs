//! What a partner may send back on a bidirectional stream that this side opened (XEP-0288).

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::verify::verify;
use crate::certificate::{Judged, Stapled};
use crate::context::Context;
use crate::dialback::KeyStatus;
use crate::domain::{Domain, Pair};
use crate::negotiation::Method;
use crate::stanza::StanzaError;
use crate::stream::Connection;

/// The pairs that the partner has authenticated on the stream by keys of its own, besides the inverse
/// of those that this side has.
pub(super) struct Accepting {
    context: Arc<Context>,
    /// The partner's first domain.
    partner: Domain,
    verified: BTreeSet<Pair>,
    pending: BTreeSet<Pair>,
    requests: usize,
    report: mpsc::Sender<(Pair, KeyStatus)>,
    statuses: mpsc::Receiver<(Pair, KeyStatus)>,
}

/// The partner keeps sending keys.
pub(super) struct TooMany;

impl Accepting {
    pub(super) fn new(context: &Arc<Context>, partner: &Domain) -> Self {
        let (report, statuses) = mpsc::channel(1);
        Self {
            context: Arc::clone(context),
            partner: partner.clone(),
            verified: BTreeSet::new(),
            pending: BTreeSet::new(),
            requests: 0,
            report,
            statuses,
        }
    }

    /// Goes on by the configuration of a reload.
    pub(super) fn renew(&mut self, context: &Arc<Context>) {
        self.context = Arc::clone(context);
    }

    /// All pairs, verified or pending.
    pub(super) fn pairs(&self) -> impl Iterator<Item = &Pair> {
        self.verified.union(&self.pending)
    }

    pub(super) fn accepts(&self, pair: &Pair) -> bool {
        self.verified.contains(pair)
    }

    /// Goes on accepting the inverse of pairs that are not sent for any longer.
    pub(super) fn keep<'a>(&mut self, pairs: impl Iterator<Item = &'a Pair>) {
        self.verified.extend(pairs.map(Pair::reversed));
    }

    /// Has a key verified, on another connection. An error is answered at once.
    pub(super) fn request(
        &mut self,
        pair: &Pair,
        key: String,
        stream_id: &str,
        connection: &Connection,
        method: Method,
    ) -> Result<Option<StanzaError>, TooMany> {
        if self.pending.contains(pair) {
            return Ok(None);
        }
        let most = self.context.config.settings.limits.stream_pairs;
        self.requests += 1;
        if self.requests > 2 * most {
            return Err(TooMany);
        }
        let full = self.verified.len() + self.pending.len() >= most;
        let objection = match self.objection(pair, connection, method) {
            None if key.is_empty() => Some(StanzaError::NotAcceptable),
            None if full => Some(StanzaError::ResourceConstraint),
            objection => objection,
        };
        if objection.is_none() {
            self.pending.insert(pair.clone());
            self.verify(pair.clone(), stream_id.to_owned(), key);
        }
        Ok(objection)
    }

    /// Why a pair is refused without verifying its key.
    fn objection(
        &self,
        pair: &Pair,
        connection: &Connection,
        method: Method,
    ) -> Option<StanzaError> {
        let config = &self.context.config;
        let dialback = Method::dialback(method != Method::TcpDialback);
        let partner = config.partner(&pair.from);
        let fits = partner.is_some_and(|partner| {
            partner.domain == self.partner && partner.terms.allows(dialback)
        });
        let tls = &self.context.tls;
        let good = || {
            let certificates = connection.certificates();
            tls.judge_server(certificates, &Stapled::default(), &pair.from) == Judged::Good
        };
        let certificate = config.settings.strict_certificates && method != Method::TcpDialback;
        if !config.serves(&pair.to) {
            Some(StanzaError::ItemNotFound)
        } else if !fits {
            Some(StanzaError::PolicyViolation)
        } else if certificate && !good() {
            Some(StanzaError::NotAuthorized)
        } else {
            None
        }
    }

    fn verify(&self, pair: Pair, stream_id: String, key: String) {
        let context = Arc::clone(&self.context);
        let report = self.report.clone();
        self.context.tasks.spawn(async move {
            let status = tokio::select! {
                status = verify(&context, &pair, stream_id, key) => status,
                // The stream is over.
                () = report.closed() => return,
            };
            let _ = report.send((pair, status)).await;
        });
    }

    /// The next verdict on a key.
    pub(super) async fn next(&mut self) -> (Pair, KeyStatus) {
        match self.statuses.recv().await {
            Some((pair, status)) => {
                self.pending.remove(&pair);
                match status {
                    KeyStatus::Valid => {
                        self.requests = 0;
                        self.verified.insert(pair.clone());
                    }
                    // Even if an earlier one was right.
                    KeyStatus::Invalid => {
                        self.verified.remove(&pair);
                    }
                    KeyStatus::Failed(_) => {}
                }
                (pair, status)
            }
            // This holds the other end.
            None => std::future::pending().await,
        }
    }
}
