//! Parameters of the cmdlets that have no meaning here. Each is refused with the reason.

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

/// The parameters, and why they are refused.
const UNUSED: [(&str, &str); 9] = [
    (
        "instance",
        "nothing hands an object over; name each setting by its own parameter",
    ),
    (
        "local-store",
        "the file is the only store, and has no replica",
    ),
    ("tenant", "a file is of one organization"),
    (
        "enable-outside-access",
        "it lets users sign in from outside, which is no matter of partners",
    ),
    (
        "enable-public-cloud-audio-video-access",
        "neither audio nor video passes",
    ),
    (
        "target-fqdn",
        "the proxy that is asked is the one of --config",
    ),
    (
        "domain-controller",
        "users and policies are in the gateway's file, and in no directory",
    ),
    ("user-credential", "nobody signs in for the test message"),
    ("pass-thru", "what has been changed is shown in any case"),
];

/// They may stand at each command, as some do with each cmdlet.
#[derive(Debug)]
pub(crate) struct Unused;

impl Args for Unused {
    fn augment_args(command: Command) -> Command {
        command.args(UNUSED.map(|(name, why)| {
            Arg::new(name)
                .long(name)
                .global(true)
                .hide(true)
                .num_args(0..=1)
                .default_missing_value("")
                .value_parser(move |_: &str| refused(why))
        }))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Unused {
    fn from_arg_matches(_: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self)
    }

    fn update_from_arg_matches(&mut self, _: &ArgMatches) -> Result<(), clap::Error> {
        Ok(())
    }
}

fn refused(why: &str) -> Result<String, String> {
    Err(format!("the parameter has no meaning here, because {why}"))
}
