//! Asking the authoritative server about a key (XEP-0220 §2.2).

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use simulated_partners::negotiate::dialback::{self, Answer, read_answer};
use simulated_partners::tls::Details;
use simulated_partners::wire::{Element, Kind, Unit};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Server;
use super::defect::Defect;
use super::outgoing;

/// A key that waits for its verification, and where the answer goes.
#[derive(Clone)]
pub(super) struct Question {
    /// The stream that the key came on.
    pub(super) id: String,
    /// The domain that it is to prove.
    pub(super) from: String,
    /// The domain of ours that it is for.
    pub(super) to: String,
    pub(super) key: String,
    /// The certificates of who sent it.
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) answer: mpsc::UnboundedSender<(Self, Verdict)>,
}

/// What came of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Valid,
    Invalid,
    Error(String),
}

/// Asks, and passes the answer on.
pub(super) async fn verify(server: Arc<Server>, question: Question) {
    let verdict = match server.defect {
        Some(Defect::AcceptsKeysUnasked) => Verdict::Valid,
        _ => ask(&server, &question).await,
    };
    let verdict = match verdict {
        Verdict::Invalid | Verdict::Error(_) if server.has(Defect::AcceptsInvalidKeys) => {
            Verdict::Valid
        }
        verdict => verdict,
    };
    if server.has(Defect::ConfusesVerifications) {
        server.decide_all(&question, &verdict);
    }
    let _ = question.answer.clone().send((question, verdict));
}

async fn ask(server: &Arc<Server>, question: &Question) -> Verdict {
    let failed = |condition: &str| Verdict::Error(condition.to_owned());
    let opened = outgoing::open(
        server,
        &question.to,
        &question.from,
        outgoing::Purpose::Verify,
        None,
    );
    let mut link = match timeout(server.patience, opened).await {
        Ok(Ok(opened)) => opened.link,
        Ok(Err(unopened)) => {
            let condition = unopened.condition;
            unopened.close().await;
            return failed(condition);
        }
        Err(_) => return failed("remote-server-timeout"),
    };
    if server.has(Defect::ComparesSubjects) {
        let subject = |chain| Details::read(chain, &server.roots).map(|one| one.subject);
        if !link.chain.is_empty() && subject(&link.chain) == subject(&question.chain) {
            link.close().await;
            return Verdict::Valid;
        }
    }
    let (from, to) = match server.defect {
        Some(Defect::AsksInTheNameOfThePartner) => (&question.from, &question.to),
        _ => (&question.to, &question.from),
    };
    let id = match server.defect {
        Some(Defect::AsksForAnotherStream) => "1",
        _ => question.id.as_str(),
    };
    let request = dialback::verify_request(from, to, id, &question.key);
    if link.send(&request).await.is_err() {
        return failed("remote-server-timeout");
    }
    let answer = timeout(server.patience, async {
        loop {
            let Ok(frame) = link.frame().await else {
                return failed("remote-server-timeout");
            };
            match frame.kind {
                Kind::Element(element)
                    if server.has(Defect::TakesVerificationsForResults)
                        && Unit::DbResult.is(&element) =>
                {
                    return verdict(&element);
                }
                Kind::Element(element)
                    if server.has(Defect::TakesAnswersOfAllAuthorities)
                        && Unit::DbVerify.is(&element) =>
                {
                    server.overhear(&element);
                }
                Kind::Element(element)
                    if Unit::DbVerify.is(&element) && is_for(server, question, &element) =>
                {
                    return verdict(&element);
                }
                Kind::Element(element) if Unit::StreamError.is(&element) => {
                    return failed("remote-server-timeout");
                }
                Kind::End => return failed("remote-server-timeout"),
                _ => {}
            }
        }
    });
    let verdict = answer
        .await
        .unwrap_or_else(|_| failed("remote-server-timeout"));
    if server.has(Defect::KeepsVerificationsOpen) {
        server.spawn(async move { while link.frame().await.is_ok() {} });
    } else {
        link.close().await;
    }
    verdict
}

/// Whether an answer is for this question.
fn is_for(server: &Server, question: &Question, element: &Element) -> bool {
    let is =
        |name, wanted: &str, defect| element.attribute(name) == Some(wanted) || server.has(defect);
    is("id", &question.id, Defect::BelievesAnswersForOtherStreams)
        && is("from", &question.from, Defect::BelievesAnswersFromOthers)
        && is("to", &question.to, Defect::BelievesAnswersToOthers)
}

/// What an answer says.
pub(super) fn verdict(element: &Element) -> Verdict {
    match read_answer(element) {
        Some(Answer::Valid) => Verdict::Valid,
        Some(Answer::Invalid) => Verdict::Invalid,
        Some(Answer::Error(condition)) => Verdict::Error(condition.to_owned()),
        None => Verdict::Error("remote-server-timeout".to_owned()),
    }
}
