//! A server of somebody else's, known by a target file.
//!
//! Start at [`TargetFile::load`] and [`Remote`]. The server may run already, or be started, switched
//! and stopped by commands of the file.

mod check;
mod file;
mod network;
mod reach;

#[cfg(test)]
mod tests;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use simulated_partners::inner::component;
use tokio::sync::Mutex;
use tokio::time::timeout;

pub use file::{
    Ca, CertificateNames, PartnerHosts, Setting, Start, TargetFile, Timeouts, TriggerKind,
};
pub use network::{authority_at, write_new};
pub use reach::{Gains, OPEN};

use super::call::{Call, CallError};
use super::inner_side::InnerSide;
use super::server::{Launch, LaunchError};
use super::{
    Hidden, Inside, Pending, Placement, Running, StartError, Stop, Target, Traces, Trigger,
};
use crate::case::{AllowList, Case, Direction, Domains, TooFew};
use crate::cause::with_causes;
use crate::lab::Lab;
use crate::policy::{Level, PolicyNumber};

/// How long a server that nobody starts or switches may take to show that it is there.
const PRESENCE: Duration = Duration::from_secs(1);

/// The server of a target file.
pub struct Remote {
    file: TargetFile,
    /// There is one server: its policies are run one after the other.
    turn: Arc<Mutex<()>>,
}

impl Remote {
    /// The server that a file describes.
    pub fn new(file: TargetFile) -> Self {
        Self {
            file,
            turn: Arc::default(),
        }
    }

    /// What the file says.
    pub fn file(&self) -> &TargetFile {
        &self.file
    }

    fn call(
        &self,
        purpose: &'static str,
        command: &[String],
        timeout: Duration,
        row: PolicyNumber,
    ) -> Call {
        let file = &self.file;
        let policy = row.policy();
        let level = |level: Level| level.to_string();
        let variables = [
            ("S2SPEC_DOMAIN", file.domain.clone()),
            ("S2SPEC_ADDRESS", file.address.to_string()),
            ("S2SPEC_DNS", file.dns.to_string()),
            ("S2SPEC_CA", file.ca.certificate.display().to_string()),
            ("S2SPEC_PARTNER_DOMAINS", file.partners()),
            ("S2SPEC_POLICY", row.label()),
            ("S2SPEC_ROW", row.number().to_string()),
            ("S2SPEC_TLS", level(policy.tls)),
            ("S2SPEC_SASL", level(policy.sasl)),
            ("S2SPEC_DIALBACK", policy.dialback.to_string()),
        ];
        Call {
            purpose,
            command: command.to_vec(),
            folder: file.folder.clone(),
            environment: variables
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            timeout,
        }
    }

    /// Starts and switches what has to be; `again` after a crash.
    async fn launch(&self, row: PolicyNumber, again: bool) -> Result<(Running, Stop), StartError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let file = &self.file;
        let setting = file
            .policies
            .iter()
            .find(|setting| setting.row == row)
            .ok_or_else(|| StartError::Unsupported(self.other_policies()))?;
        let timeouts = file.timeouts;
        if let Some(switch) = &setting.switch {
            let switch = self.call("switch", switch, timeouts.switch, row);
            switch.run().await.map_err(|error| failed(&error))?;
        }
        let restart = file.restart.as_ref().filter(|_| again);
        if let Some(command) = restart {
            let restart = self.call("restart", command, timeouts.start, row);
            restart.run().await.map_err(|error| failed(&error))?;
        }
        let mut ports = vec![file.address];
        if let TriggerKind::Component { address, .. } = &file.trigger {
            ports.push(*address);
        }
        let launch = Launch {
            start: file
                .start
                .as_ref()
                .map(|start| self.call("start", &start.command, timeouts.start, row)),
            ready: file
                .start
                .iter()
                .filter_map(|start| start.ready.clone())
                .collect(),
            ports,
            stop: file
                .stop
                .as_ref()
                .map(|stop| self.call("stop", stop, timeouts.stop, row)),
            stop_timeout: timeouts.stop,
            logs: file.logs.clone(),
            timeout: if setting.switch.is_some() || restart.is_some() {
                timeouts.start
            } else {
                PRESENCE
            },
            ours: None,
        };
        let server = launch.run().await.map_err(|error| match error {
            LaunchError::Call(error) => failed(&error),
            error => error.into(),
        })?;
        let (domain, inner) = match self.inside(row).await {
            Ok(inside) => inside,
            Err(error) => return Err(server.give_up(error.to_string()).await),
        };
        let running = Running {
            second: Some(&file.domain).filter(|host| **host != domain).cloned(),
            domain,
            secret: None,
            address: file.address,
            other_member: file.other_member,
            direct_tls: file.direct_tls,
            inner,
            patience: file.timeouts.stream,
            process: server.ended.clone(),
            is_inside: false,
            clock: None,
            traces: Traces {
                logs: file.logs.clone(),
                ..Traces::default()
            },
            administrator: None,
        };
        let stop: Stop = Box::new(move || {
            Box::pin(async move {
                let stopped = server.stop().await;
                drop(turn);
                stopped
            })
        });
        Ok((running, stop))
    }

    /// What there is of an inner side, and the domain under test.
    async fn inside(&self, row: PolicyNumber) -> Result<(String, Inside), StartError> {
        let file = &self.file;
        let hidden = |trigger| Inside::Hidden(Hidden::new(trigger));
        match &file.trigger {
            TriggerKind::Reply => Ok((file.domain.clone(), hidden(Trigger::Reply))),
            TriggerKind::Command(command) => {
                let call = self.call("trigger", command, file.timeouts.trigger, row);
                Ok((file.domain.clone(), hidden(Trigger::Command(call))))
            }
            TriggerKind::Component {
                address,
                domain,
                secret,
            } => {
                let connecting = component::connect(*address, domain, secret);
                let link = match timeout(file.timeouts.start, connecting).await {
                    Ok(Ok(link)) => link,
                    Ok(Err(error)) => {
                        let why = with_causes(&error);
                        let hint = if why.contains("not-authorized") {
                            "; the secret in the target file is not the server's"
                        } else {
                            ""
                        };
                        return Err(StartError::Environment(format!(
                            "the server does not take the component {domain} at {address}: \
                             {why}{hint}"
                        )));
                    }
                    Err(_) => {
                        return Err(StartError::Environment(format!(
                            "the server did not answer the component {domain} at {address} within \
                             {} s",
                            file.timeouts.start.as_secs_f64()
                        )));
                    }
                };
                let inner = InnerSide::new(link, &format!("barrier@{domain}"), &file.domain);
                Ok((domain.clone(), inner.into()))
            }
        }
    }

    /// The domains of a case, where nothing else runs.
    fn assign(&self, case: &Case) -> Result<Domains, TooFew> {
        let allow = &self.file.partner_domains;
        allow.assign(case, self.hidden(), |_| true)
    }

    /// Whether there is no link to the inner side.
    fn hidden(&self) -> bool {
        !matches!(self.file.trigger, TriggerKind::Component { .. })
    }

    /// The same words for each row, so that a report needs one line for all of them.
    fn other_policies(&self) -> String {
        let rows: Vec<String> = self.file.rows().map(PolicyNumber::label).collect();
        format!(
            "the target file does not have this policy; it has {}",
            rows.join(", ")
        )
    }
}

impl Target for Remote {
    fn name(&self) -> String {
        self.file.name.clone()
    }

    fn place(&self, case: &Case) -> Placement {
        if let Some(lacking) = super::lacking(case, &super::ANYWHERE) {
            return lacking;
        }
        if !self.file.rows().any(|row| row == case.row) {
            return Placement::Unsupported(self.other_policies());
        }
        let needs_entry =
            self.file.trigger == TriggerKind::Reply && case.direction == Direction::Outbound;
        if needs_entry && !case.row.policy().valid() {
            return Placement::Unsupported(
                "this policy lets no partner in whose ping the server could answer: another \
                 trigger is needed"
                    .to_owned(),
            );
        }
        match self.assign(case) {
            Ok(_) => Placement::Group(case.row.label()),
            Err(too_few) => Placement::Unsupported(too_few.to_string()),
        }
    }

    fn allow_list(&self) -> AllowList {
        self.file.partner_domains.clone()
    }

    fn partners_of(&self, case: &Case) -> Vec<String> {
        let allow = &self.file.partner_domains;
        match (allow, self.assign(case)) {
            (AllowList::Only(listed), _) => listed.clone(),
            (_, Ok(domains)) => allow.taken(case, self.hidden(), &domains),
            (_, Err(_)) => Vec::new(),
        }
    }

    fn lab(&self, seed: u64) -> io::Result<Lab> {
        network::open(&self.file, seed)
    }

    fn start<'a>(
        &'a self,
        _lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move { self.launch(row_of(group, cases)?, false).await })
    }

    fn restart<'a>(
        &'a self,
        _lab: &'a Lab,
        group: &'a str,
        cases: &'a [Case],
    ) -> Pending<'a, Result<(Running, Stop), StartError>> {
        Box::pin(async move { self.launch(row_of(group, cases)?, true).await })
    }
}

fn row_of(group: &str, cases: &[Case]) -> Result<PolicyNumber, StartError> {
    let first = cases.first().map(|case| case.row);
    first.ok_or_else(|| StartError::Environment(format!("group {group} has no cases")))
}

fn failed(error: &CallError) -> StartError {
    if error.is_unsupported() {
        StartError::Unsupported(error.to_string())
    } else {
        StartError::Environment(error.to_string())
    }
}
