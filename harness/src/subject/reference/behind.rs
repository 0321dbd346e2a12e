//! The gateway behind the embedded proxy, where a case is about local users, and the two users who are signed in.

use std::fmt::Write as _;
use std::future::ready;
use std::net::SocketAddr;

use reference_gateway::address::Bare;
use reference_gateway::config::Config;
use reference_gateway::session::{Session, stanza};
use reference_gateway::{Gateway, StartError as GatewayError};
use reference_proxy::Clock;
use simulated_partners::pki::Identity;
use simulated_partners::wire::Element;
use tokio::sync::mpsc;
use tokio::task::unconstrained;

use super::configuration::further;
use super::{DOMAIN, GATEWAY, SECOND};
use crate::case::{CONTACT, Case, FRIEND, Scope, Settings, USER, WITNESS, names};
use crate::lab::Lab;
use crate::subject::StartError;
use crate::subject::inner_side::{InnerSide, NOBODY};

/// Stanzas that wait between the users and the runner.
const QUEUE: usize = 64;

/// All that the gateway's file depends on.
pub(super) struct Behind {
    link: String,
    proxies: Vec<SocketAddr>,
    case: Case,
}

impl Behind {
    pub(super) fn new(
        lab: &Lab,
        identity: &Identity,
        proxies: Vec<SocketAddr>,
        case: &Case,
    ) -> Self {
        let link = format!(
            "[link]\nname = \"{GATEWAY}\"\ncertificate = '''{}'''\nkey = '''{}'''\nca = '''{}'''\n",
            identity.chain_pem(),
            identity.key_pem(),
            lab.authority.root_pem(),
        );
        Self {
            link,
            proxies,
            case: case.clone(),
        }
    }

    /// The gateway's configuration with these settings.
    pub(super) fn config(&self, settings: &Settings) -> Result<Config, StartError> {
        Config::from_toml(&self.text(settings), "generated gateway.toml")
            .map_err(|error| StartError::Environment(format!("the gateway's file: {error}")))
    }

    fn text(&self, settings: &Settings) -> String {
        let Self {
            link,
            proxies,
            case,
        } = self;
        let users = settings.users.as_ref();
        let by_invitation = users.is_some_and(|users| users.by_invitation);
        let mut text = format!(
            "domains = [\"{DOMAIN}\", \"{SECOND}\"]\n\
             public-verified = \"{}\"\npublic-needs-public-cloud-access = {}\n{link}",
            if by_invitation {
                "by-invitation"
            } else {
                "open"
            },
            users.is_some_and(|users| users.public_needs_cloud),
        );
        let mut add = |more: String| text.push_str(&more);
        for proxy in proxies {
            add(format!(
                "[[proxy]]\naddress = \"{proxy}\"\nname = \"{DOMAIN}\"\n"
            ));
        }
        let domain = case.domain();
        if !settings.unlisted {
            add(format!(
                "[[partner]]\ndomain = \"{domain}\"\nadditional-domains = {:?}\n",
                further(settings, case)
            ));
            if let Some(kind) = settings.kind {
                add(format!("type = \"{kind}\"\n"));
            }
        }
        // A domain that only the proxy does not know: what the witness sends there comes back from the proxy.
        let (_, nowhere) = NOBODY.split_once('@').expect("an address");
        add(format!(
            "[[partner]]\ndomain = \"{nowhere}\"\ntype = \"federated\"\n"
        ));
        let policies = users
            .map(|users| users.policies.as_slice())
            .unwrap_or_default();
        for (scope, access) in policies {
            let identity = match scope {
                Scope::Global => "global",
                Scope::Site => "site:Verona",
                Scope::User => "own",
            };
            add(policy(
                identity,
                [access.federation, access.xmpp, access.public_cloud],
            ));
        }
        add(policy("witness", [true; 3]));
        let granted = policies.iter().any(|(scope, _)| *scope == Scope::User);
        add(format!(
            "[[user]]\naddress = \"{USER}@{DOMAIN}\"\nsite = \"Verona\"\n"
        ));
        if granted {
            add("policy = \"own\"\n".to_owned());
        }
        if users.is_some_and(|users| users.has_contact) {
            add(format!(
                "[[user.contact]]\naddress = \"{CONTACT}@{domain}\"\n"
            ));
        }
        add(format!(
            "[[user]]\naddress = \"{WITNESS}@{DOMAIN}\"\npolicy = \"witness\"\n\
             [[user.contact]]\naddress = \"{FRIEND}@{domain}\"\n"
        ));
        text
    }

    /// Starts the gateway and signs both users in.
    pub(super) async fn start(
        &self,
        settings: &Settings,
        clock: &Clock,
    ) -> Result<(Gateway, InnerSide), StartError> {
        let config = self.config(settings)?;
        let gateway =
            Gateway::start_with(config, clock.clone()).map_err(|error| trouble(&error))?;
        let mut links = gateway.links();
        let all = self.proxies.len();
        // The gateway that holds the sender is here.
        let _ = links.wait_for(|links| *links == all).await;
        let mut sessions = Vec::new();
        for name in [USER, WITNESS] {
            let address = Bare::user(&format!("{name}@{DOMAIN}"))
                .map_err(|error| StartError::Environment(format!("{name}: {error}")))?;
            let session = gateway.sign_in(&address).await;
            let session =
                session.map_err(|error| StartError::Environment(format!("{name}: {error}")))?;
            sessions.push(session);
        }
        let [user, witness] = sessions.try_into().expect("two have signed in");
        let (to_users, outgoing) = mpsc::channel(QUEUE);
        let (from_users, incoming) = mpsc::channel(QUEUE);
        tokio::spawn(carry(user, witness, outgoing, from_users));
        let barrier = format!("{WITNESS}@{DOMAIN}");
        Ok((gateway, InnerSide::of_users(to_users, incoming, &barrier)))
    }
}

fn policy(identity: &str, allows: [bool; 3]) -> String {
    let [federation, xmpp, cloud] = allows;
    let mut text = format!("[[policy]]\nidentity = \"{identity}\"\n");
    writeln!(
        text,
        "enable-federation-access = {federation}\nenable-xmpp-access = {xmpp}\n\
         enable-public-cloud-access = {cloud}"
    )
    .expect("a String takes all text");
    text
}

fn trouble(error: &GatewayError) -> StartError {
    StartError::Environment(format!("the gateway behind the proxy: {error}"))
}

/// Carries stanzas between the two users and the runner, until one side is gone.
async fn carry(
    mut user: Session,
    mut witness: Session,
    mut outgoing: mpsc::Receiver<Element>,
    incoming: mpsc::Sender<Element>,
) {
    loop {
        let said = tokio::select! {
            biased;
            said = outgoing.recv() => match said {
                Some(said) => said,
                None => return,
            },
            Ok(heard) = unconstrained(user.next()) => {
                if !hand_over(&heard.bytes, &incoming).await {
                    return;
                }
                continue;
            }
            heard = unconstrained(witness.next()) => {
                let Ok(heard) = heard else { return };
                // What the gateway had for the user before it had this for the witness comes first.
                while let Some(before) = tokio::select! {
                    biased;
                    before = unconstrained(user.next()) => before.ok(),
                    () = ready(()) => None,
                } {
                    if !hand_over(&before.bytes, &incoming).await {
                        return;
                    }
                }
                if !hand_over(&heard.bytes, &incoming).await {
                    return;
                }
                continue;
            }
        };
        let from = said.attribute("from").unwrap_or_default();
        let session = match from.starts_with(WITNESS) {
            true => &witness,
            false => &user,
        };
        match stanza(&said.to_xml()) {
            Ok(stanza) => {
                if session.send(stanza).await.is_err() {
                    return;
                }
            }
            Err(error) => tracing::error!(%error, "a local user says what is no stanza"),
        }
    }
}

/// Returns whether there still is somebody who listens.
async fn hand_over(bytes: &[u8], incoming: &mpsc::Sender<Element>) -> bool {
    match names::stanza(&String::from_utf8_lossy(bytes)) {
        Ok(element) => incoming.send(element).await.is_ok(),
        Err(why) => {
            tracing::error!(why, "a local user gets what is no stanza");
            true
        }
    }
}
