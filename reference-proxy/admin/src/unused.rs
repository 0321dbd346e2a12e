//! Parameters of the cmdlets that have no meaning here. Each is refused with the reason.

/// They may stand at each command, as some do with each cmdlet.
#[derive(Debug, clap::Args)]
pub(crate) struct Unused {
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = instance)]
    instance: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = local_store)]
    local_store: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = tenant)]
    tenant: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = outside)]
    enable_outside_access: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = media)]
    enable_public_cloud_audio_video_access: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = target)]
    target_fqdn: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = controller)]
    domain_controller: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = credential)]
    user_credential: Option<String>,
    #[arg(long, global = true, hide = true, num_args = 0..=1, default_missing_value = "", value_parser = pass_thru)]
    pass_thru: Option<String>,
}

fn because(why: &str) -> Result<String, String> {
    Err(format!("the parameter has no meaning here, because {why}"))
}

fn instance(_: &str) -> Result<String, String> {
    because("nothing hands an object over; name each setting by its own parameter")
}

fn local_store(_: &str) -> Result<String, String> {
    because("the file is the only store, and has no replica")
}

fn tenant(_: &str) -> Result<String, String> {
    because("a file is of one organization")
}

fn outside(_: &str) -> Result<String, String> {
    because("it lets users sign in from outside, which is no matter of partners")
}

fn media(_: &str) -> Result<String, String> {
    because("neither audio nor video passes")
}

fn target(_: &str) -> Result<String, String> {
    because("the proxy that is asked is the one of --config")
}

fn controller(_: &str) -> Result<String, String> {
    because("users and policies are in the gateway's file, and in no directory")
}

fn credential(_: &str) -> Result<String, String> {
    because("nobody signs in for the test message")
}

fn pass_thru(_: &str) -> Result<String, String> {
    because("what has been changed is shown in any case")
}
