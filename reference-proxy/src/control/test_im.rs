//! The test message of [`Request::TestIm`](super::Request::TestIm).

use std::sync::Arc;

use super::protocol::Tested;
use crate::context::Context;
use crate::domain::Pair;
use crate::negotiation::Method;
use crate::outbound;
use crate::stanza::domain_of_user;
use crate::trial::{Broken, Step};

/// Sends a test message, and says how far it gets.
pub(super) async fn test(context: &Arc<Context>, to: &str, from: Option<&str>) -> Tested {
    let began = context.clock.now();
    let tried = way(context, to, from).await;
    let latency = context.clock.now() - began;
    match &tried {
        Ok(method) => tracing::info!(to, %method, ?latency, "test message answered"),
        Err(Broken { step, why, .. }) => {
            tracing::info!(to, %step, reason = why, ?latency, "test message lost");
        }
    }
    match tried {
        Ok(method) => Tested {
            latency: latency.as_secs_f64(),
            method: Some(method.to_string()),
            broken: None,
            error: None,
        },
        Err(Broken { step, why, method }) => Tested {
            latency: latency.as_secs_f64(),
            method: method.map(|method| method.to_string()),
            broken: Some(step),
            error: Some(why),
        },
    }
}

async fn way(context: &Arc<Context>, to: &str, from: Option<&str>) -> Result<Method, Broken> {
    let config = &context.config;
    let default = format!("test@{}", config.own_domain());
    let from = from.unwrap_or(&default);
    let bad = |address: &str| {
        let why = format!("`{address}` is not the address of a user, such as user@example.com");
        Broken::at(Step::LocalPolicy, why)
    };
    let pair = Pair {
        from: domain_of_user(from).map_err(|_| bad(from))?,
        to: domain_of_user(to).map_err(|_| bad(to))?,
    };
    if !config.serves(&pair.from) {
        let why = format!("{} is not served here", pair.from);
        return Err(Broken::at(Step::LocalPolicy, why));
    }
    if config.serves(&pair.to) {
        let why = format!("{} is served here, and its users are no partner's", pair.to);
        return Err(Broken::at(Step::LocalPolicy, why));
    }
    if config.partner(&pair.to).is_none() {
        let why = format!("{} is no domain of a partner", pair.to);
        return Err(Broken::at(Step::Route, why));
    }
    if !context.router.has_gateway(&pair.from) {
        let why = format!("no gateway is connected for {}", pair.from);
        return Err(Broken::at(Step::InnerLink, why));
    }
    let mut stop = context.tasks.stop();
    let bare = from.split('/').next().unwrap_or_default();
    outbound::trial(context, &pair, [bare, to], &mut stop).await
}
