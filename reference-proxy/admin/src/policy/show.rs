//! Get, and how a policy is shown.

use std::path::Path;

use reference_gateway::config::{Draft, NamedPolicy};
use reference_gateway::policy::Scope;
use serde_json::{Value, json};

use super::{Get, all, granted, unknown};
use crate::error::{Error, Exit};
use crate::output::{Lines, print};
use crate::value::truth;

pub(super) fn get(file: &Path, get: &Get) -> Result<Exit, Error> {
    let draft = Draft::load(file)?;
    let which = &get.which;
    let named = which.named.as_ref().or(which.identity.as_ref());
    let mut chosen = all(&draft);
    if let Some(identity) = named {
        chosen.retain(|policy| policy.scope == identity.scope);
        if chosen.is_empty() {
            return Err(unknown(&draft, &identity.text));
        }
    } else if let Some(pattern) = &which.filter {
        let wanted = pattern.to_lowercase();
        chosen.retain(|policy| fast_glob::glob_match(&wanted, identity(policy).to_lowercase()));
    } else if let Some(address) = &which.user {
        let user = draft.directory.users.get(address);
        let user = user.ok_or_else(|| Error::Usage(format!("there is no user `{address}`")))?;
        let scopes = [
            user.policy.as_ref(),
            user.site.as_ref(),
            Some(&Scope::Global),
        ];
        let counts = scopes.into_iter().flatten().find(|scope| {
            let mut known = chosen.iter();
            known.any(|policy| policy.scope == **scope)
        });
        chosen.retain(|policy| Some(&policy.scope) == counts);
    }
    let alone = named.is_some() || which.user.is_some();
    print(&match (get.json, alone) {
        (true, _) => {
            let list: Vec<Value> = chosen
                .iter()
                .map(|policy| in_json(policy, &draft))
                .collect();
            format!("{:#}\n", Value::from(list))
        }
        (false, true) => chosen.iter().map(|policy| list(policy, &draft)).collect(),
        (false, false) => table(&chosen, &draft),
    })?;
    Ok(Exit::Good)
}

/// The identity as the cmdlets show it.
fn identity(policy: &NamedPolicy) -> String {
    let written = policy.identity.trim();
    let name = written.split_once(':').map_or(written, |(_, name)| name);
    match policy.scope {
        Scope::Global => "Global".to_owned(),
        Scope::Site(_) => format!("Site:{name}"),
        Scope::User(_) => format!("Tag:{name}"),
    }
}

/// One policy, a line for each parameter of the cmdlets.
pub(super) fn list(policy: &NamedPolicy, draft: &Draft) -> String {
    let allows = policy.policy;
    let mut lines = Lines::default();
    lines.add("Identity", &identity(policy));
    lines.add("Description", &policy.description);
    lines.add("EnableFederationAccess", truth(allows.federation));
    lines.add("EnableXmppAccess", truth(allows.xmpp));
    lines.add("EnablePublicCloudAccess", truth(allows.public_cloud));
    if let Scope::User(_) = policy.scope {
        let users: Vec<String> = granted(draft, &policy.scope)
            .map(ToString::to_string)
            .collect();
        lines.add("GrantedTo", &users.join(", "));
    }
    lines.text()
}

/// A line for each policy.
fn table(policies: &[NamedPolicy], draft: &Draft) -> String {
    let identities: Vec<String> = policies.iter().map(identity).collect();
    let width = identities.iter().map(|name| name.chars().count()).max();
    let width = width.unwrap_or_default().max(8);
    let mut text = format!(
        "{:width$}  {:10}  {:5}  {:11}  Users\n",
        "Identity", "Federation", "Xmpp", "PublicCloud"
    );
    for (policy, identity) in policies.iter().zip(&identities) {
        let allows = policy.policy;
        let users = match policy.scope {
            Scope::User(_) => granted(draft, &policy.scope).count().to_string(),
            Scope::Global | Scope::Site(_) => "-".to_owned(),
        };
        text.push_str(&format!(
            "{identity:width$}  {:10}  {:5}  {:11}  {users:>5}\n",
            truth(allows.federation),
            truth(allows.xmpp),
            truth(allows.public_cloud),
        ));
    }
    text
}

fn in_json(policy: &NamedPolicy, draft: &Draft) -> Value {
    let users: Vec<String> = granted(draft, &policy.scope)
        .map(ToString::to_string)
        .collect();
    json!({
        "Identity": identity(policy),
        "Description": policy.description,
        "EnableFederationAccess": policy.policy.federation,
        "EnableXmppAccess": policy.policy.xmpp,
        "EnablePublicCloudAccess": policy.policy.public_cloud,
        "GrantedTo": users,
    })
}
