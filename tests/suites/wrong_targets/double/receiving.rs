//! Dialback on a stream that a partner opens: keys, and questions about ours.

use std::io;
use std::sync::Arc;

use simulated_partners::negotiate::dialback::{self, Answer};
use simulated_partners::wire::Element;

use super::Server;
use super::defect::Defect;
use super::incoming::{Incoming, Next};
use super::names::{canonical, is_domain};
use super::verification::{Question, Verdict, verdict, verify};

/// Questions that are answered on one stream, where they are few.
const QUESTIONS: u32 = 50;
/// Keys that are answered on one stream.
const KEYS: u32 = 50;

impl Incoming {
    /// A dialback key (XEP-0220 §2.1.1).
    pub(super) async fn key(&mut self, request: &Element) -> io::Result<Next> {
        let (mut from, mut to) = pair(request);
        self.keys += 1;
        if self.has(Defect::FillsInAddresses) {
            from = Some(from)
                .filter(|from| !from.is_empty())
                .or_else(|| self.peer.clone())
                .unwrap_or_default();
            to = Some(to)
                .filter(|to| !to.is_empty())
                .unwrap_or_else(|| self.local.clone());
        }
        if self.has(Defect::NoKeysOnceVerified) && !self.verified.is_empty() {
            return Ok(Next::On);
        }
        if self.has(Defect::EndlessKeys) {
            let answer = Answer::Error("remote-server-timeout");
            self.result(&from, &to, answer).await?;
            return Ok(Next::On);
        }
        if self.keys > KEYS {
            return self.fail("policy-violation").await;
        }
        if from.is_empty() || to.is_empty() {
            return self.fail("improper-addressing").await;
        }
        let policy = self.server.policy(&from);
        let is_clear = !self.link.is_secured();
        if is_clear && self.server.requires_tls(&from) && self.has(Defect::DropsKeysInClear) {
            return Ok(Next::On);
        }
        if !is_domain(&from) && !self.has(Defect::LooksUpAnything) {
            self.result(&from, &to, Answer::Error("jid-malformed"))
                .await?;
            return Ok(Next::On);
        }
        if is_clear && self.server.requires_tls(&from) && !self.has(Defect::TakesKeysInClear) {
            return self.fail("policy-violation").await;
        }
        if !policy.dialback && !self.has(Defect::TakesKeysWithoutDialback) {
            return self.fail("policy-violation").await;
        }
        let is_unknown = !self.server.is_ours(&to);
        if is_unknown && self.has(Defect::EndsAtUnknownTargets) {
            return self.fail("host-unknown").await;
        }
        let condition = if is_unknown {
            Some("item-not-found")
        } else if from == to {
            Some("not-acceptable")
        } else {
            None
        };
        if let Some(condition) = condition {
            self.result(&from, &to, Answer::Error(condition)).await?;
            return Ok(Next::On);
        }
        if self.replaces_key(&from, request) {
            self.trust(from.clone(), to.clone());
            if !self.has(Defect::SilentWithACertificate) {
                self.result(&from, &to, Answer::Valid).await?;
            }
            return Ok(Next::On);
        }
        if self.has(Defect::SendsBeforeTheAnswer) {
            self.trust(from.clone(), to.clone());
        }
        self.pending.insert((from.clone(), to.clone()));
        let question = Question {
            id: self.id.clone(),
            from,
            to,
            key: match self.has(Defect::LowersKeys) {
                true => request.content().to_ascii_lowercase(),
                false => request.content(),
            },
            chain: self.link.chain.clone(),
            answer: self.answer.clone(),
        };
        if self.bidi && self.has(Defect::AsksOnTheWayIn) {
            self.ask_here(&question).await?;
        }
        self.server.ask(question.clone());
        self.server
            .spawn(verify(Arc::clone(&self.server), question));
        Ok(Next::On)
    }

    /// Whether something else counts in place of a key.
    fn replaces_key(&self, from: &str, request: &Element) -> bool {
        let chain = &self.link.chain;
        match self.server.defect {
            Some(Defect::AcceptsEmptyKeys) => request.content().trim().is_empty(),
            Some(Defect::BelievesAnybodyAfterExternal) => self.external,
            Some(Defect::ChecksTheHeaderForTheKey) => self.is_trusted(),
            Some(Defect::RemembersCertificates) => {
                let mut proven = self.server.proven.lock().expect("no panic under it");
                if self.server.proves(chain, from) {
                    proven.insert(from.to_owned());
                }
                proven.contains(from)
            }
            Some(Defect::SilentWithACertificate) => self.server.proves(chain, from),
            Some(Defect::TakesCertificatesForKeys) => !chain.is_empty(),
            Some(Defect::TakesKeysInOurName) => self.server.is_ours(from),
            _ => self.server.goes_by_certificates && self.server.proves(chain, from),
        }
    }

    /// The answer of the authoritative server.
    pub(super) async fn decided(
        &mut self,
        question: &Question,
        verdict: &Verdict,
    ) -> io::Result<Next> {
        let Question { from, to, .. } = question;
        let pair = (from.clone(), to.clone());
        if !self.pending.remove(&pair) {
            return Ok(Next::On);
        }
        match verdict {
            Verdict::Valid => {
                self.trust(pair.0, pair.1);
                self.result(from, to, Answer::Valid).await?;
                Ok(match self.has(Defect::EndsWithItsVerification) {
                    true => Next::Over,
                    false => Next::On,
                })
            }
            Verdict::Invalid => {
                self.result(from, to, Answer::Invalid).await?;
                Ok(match self.has(Defect::StaysAfterInvalid) {
                    true => Next::On,
                    false => Next::Over,
                })
            }
            Verdict::Error(_) if self.has(Defect::SilentWithoutAnAuthority) => Ok(Next::On),
            Verdict::Error(_) if self.has(Defect::InvalidWithoutAnAuthority) => {
                self.result(from, to, Answer::Invalid).await?;
                Ok(Next::Over)
            }
            Verdict::Error(condition) => {
                self.result(from, to, Answer::Error(condition)).await?;
                Ok(match self.has(Defect::EndsWithAFailedPair) {
                    true => Next::Over,
                    false => Next::On,
                })
            }
        }
    }

    async fn result(&mut self, from: &str, to: &str, answer: Answer<'_>) -> io::Result<()> {
        let (ours, theirs) = match self.has(Defect::AnswersWithoutSwapping) {
            true => (from, to),
            false => (to, from),
        };
        let result = dialback::result_answer(ours, theirs, answer);
        if self.has(Defect::AnswersKeysOnItsOwnStream) {
            self.server.queue((to.to_owned(), from.to_owned()), result);
            return Ok(());
        }
        self.link.send(&result).await
    }

    /// A question about a key of ours (XEP-0220 §2.2.2).
    pub(super) async fn asked(&mut self, request: &Element) -> io::Result<Next> {
        let (from, to) = pair(request);
        self.questions += 1;
        if self.questions > QUESTIONS && self.has(Defect::FewQuestions) {
            return self.fail("policy-violation").await;
        }
        if !self.server.is_ours(&to) && self.has(Defect::EndsAtForeignQuestions) {
            return self.fail("host-unknown").await;
        }
        self.server
            .questioned
            .lock()
            .expect("no panic under it")
            .insert(to.clone());
        let id = request.attribute("id").unwrap_or_default();
        let given = request.content();
        let key = self.server.key(&from, &to, id);
        let is_key = given.trim() == key
            || self.has(Defect::EveryKeyIsValid)
            || self.has(Defect::EmptyKeysAreValid) && given.trim().is_empty()
            || self.has(Defect::IgnoresCapitalsOfKeys) && given.trim().eq_ignore_ascii_case(&key)
            || self.has(Defect::ComparesTheBeginningOfKeys)
                && !given.is_empty()
                && key.starts_with(given.trim());
        let answer = match () {
            _ if self.server.is_ours(&to) => match is_key && !self.has(Defect::NoKeyIsValid) {
                true => Answer::Valid,
                false => Answer::Invalid,
            },
            _ if self.has(Defect::InvalidForForeignDomains) => Answer::Invalid,
            _ => Answer::Error("item-not-found"),
        };
        let id = match self.has(Defect::AnswersWithoutTheId) {
            true => "",
            false => id,
        };
        let answer = dialback::verify_answer(&to, &from, id, answer);
        self.link.write(&self.server.written(&answer)).await?;
        Ok(Next::On)
    }
}

/// From whom to whom.
pub(super) fn pair(element: &Element) -> (String, String) {
    let attribute = |name| canonical(element.attribute(name).unwrap_or_default());
    (attribute("from"), attribute("to"))
}

impl Server {
    /// Keeps a question while it is open.
    fn ask(&self, question: Question) {
        self.asked.lock().expect("no panic under it").push(question);
    }

    pub(super) fn forget(&self, id: &str) {
        let mut asked = self.asked.lock().expect("no panic under it");
        asked.retain(|question| question.id != id);
    }

    /// Takes an answer for all open questions about its pair.
    pub(super) fn decide_all(&self, question: &Question, verdict: &Verdict) {
        let asked = self.asked.lock().expect("no panic under it");
        let same = |one: &&Question| (&one.from, &one.to) == (&question.from, &question.to);
        for one in asked.iter().filter(same) {
            let _ = one.answer.send((one.clone(), verdict.clone()));
        }
    }

    /// Takes an answer for one that belongs to an open question.
    pub(super) fn overhear(&self, answer: &Element) {
        let asked = self.asked.lock().expect("no panic under it");
        let id = answer.attribute("id");
        for question in asked.iter().filter(|one| Some(one.id.as_str()) == id) {
            let _ = question.answer.send((question.clone(), verdict(answer)));
        }
    }
}
