//! Who may talk to partners, which the gateway decides by its policies.

use std::path::PathBuf;

use reference_gateway::config::Draft;
use reference_gateway::directory::Directory;

use super::ask::Question;
use super::{State, Walk, gateway};
use crate::error::Error;
use crate::policy;

/// The answer of those whose gateway is another program.
const NONE: &str = "none";

pub(super) fn step(walk: &mut Walk<'_>) -> Result<State, Error> {
    let Some(file) = file(walk)? else {
        return Ok(State::Done(
            "the gateway is another program, whose own policies let users talk to partners"
                .to_owned(),
        ));
    };
    let name = file.display().to_string();
    if !file.exists()
        && let Some(open) = gateway::write(walk, &file)?
    {
        return Ok(open);
    }
    let (users, allowed) = counts(&Draft::load(&file)?.directory);
    if users == 0 {
        return Ok(State::Open(format!(
            "add the users to {name}: there is none"
        )));
    }
    if allowed == 0 {
        let question = Question {
            text: "Policy by which all users may talk to partners (global, or one to grant; nothing for none)",
            option: "policy",
            default: Some(""),
        };
        let given = walk.answers.policy.clone();
        let chosen = walk
            .asker
            .ask(&question, given.as_deref(), |text| match text {
                "" => Ok(None),
                text => policy::identity(text).map(Some),
            })?;
        match chosen {
            Some(identity) => policy::allow_all(&file, &identity)?,
            None => {
                return Ok(State::Open(format!(
                    "no user may talk to partners yet: `s2spec proxy policy set --gateway {name} \
                     -EnableFederationAccess true -EnableXmppAccess true` lets all"
                )));
            }
        }
    }
    let (users, allowed) = counts(&Draft::load(&file)?.directory);
    Ok(match allowed {
        // By a policy of their own, or of their site.
        0 => State::Open(format!(
            "still no user may: another policy counts for each; `s2spec proxy policy get --gateway {name}` \
             shows them"
        )),
        1 if users == 1 => State::Done(format!("the only user of {name} may talk to partners")),
        all if all == users => {
            State::Done(format!("all {users} users of {name} may talk to partners"))
        }
        some => State::Done(format!(
            "{some} of {users} users of {name} may talk to partners"
        )),
    })
}

/// The gateway's file, if the gateway is ours.
fn file(walk: &mut Walk<'_>) -> Result<Option<PathBuf>, Error> {
    let usual = walk.config.with_file_name("gateway.toml");
    let usual = usual.display().to_string();
    let question = Question {
        text: "Configuration file of the gateway (none if it is another program)",
        option: "gateway-config",
        default: Some(&usual),
    };
    let given = walk.answers.gateway_config.clone();
    walk.asker
        .ask(&question, given.as_deref(), |text| Ok(text.to_owned()))
        .map(|text| (text != NONE).then(|| PathBuf::from(text)))
}

/// How many users there are, and how many of them may talk to XMPP partners.
pub(super) fn counts(directory: &Directory) -> (usize, usize) {
    let users = directory.users.values();
    let may = users.filter(|user| {
        let policy = directory
            .policies
            .of(user.policy.as_ref(), user.site.as_ref());
        policy.federation && policy.xmpp && !user.branch_appliance
    });
    (directory.users.len(), may.count())
}
