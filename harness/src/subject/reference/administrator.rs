//! What an administrator, or a calamity, does to the embedded proxy while a case runs.

use std::sync::Arc;

use reference_gateway::Gateway;
use reference_proxy::Proxy;
use reference_proxy::config::Config;
use tokio::sync::Mutex;

use super::behind::Behind;
use super::configuration::Configuration;
use super::first_line;
use crate::case::What;
use crate::subject::Administrator;

/// The running parts of a target.
pub(super) struct Parts {
    /// The members of the pool that are left, in order.
    pub(super) proxies: Vec<Proxy>,
    pub(super) gateway: Option<Gateway>,
    pub(super) configuration: Configuration,
    pub(super) behind: Option<Behind>,
}

/// Whoever may change these parts, as long as they run.
pub(super) fn administrator(parts: &Arc<Mutex<Option<Parts>>>) -> Administrator {
    let parts = Arc::clone(parts);
    Box::new(move |what| {
        let parts = Arc::clone(&parts);
        Box::pin(async move {
            let mut parts = parts.lock().await;
            let parts = parts.as_mut().ok_or("the target has been stopped")?;
            parts.perform(what).await
        })
    })
}

impl Parts {
    async fn perform(&mut self, what: &What) -> Result<(), String> {
        match what {
            What::Reload(settings) => {
                let text = self.configuration.text(Some(settings));
                for proxy in &self.proxies {
                    let config = Config::from_toml(&text, "generated proxy.toml")
                        .map_err(|error| first_line(&error.to_string()))?;
                    proxy.take_in(config).map_err(|error| error.to_string())?;
                }
                if let (Some(gateway), Some(behind)) = (&mut self.gateway, &self.behind) {
                    let config = behind.config(settings).map_err(|error| error.to_string())?;
                    let reloaded = gateway.reload(config).await;
                    reloaded.map_err(|error| error.to_string())?;
                }
            }
            What::Die => self.first()?.kill().await,
            What::Stop => self.first()?.stop().await,
        }
        Ok(())
    }

    fn first(&mut self) -> Result<Proxy, String> {
        match self.proxies.is_empty() {
            true => Err("no member of the pool is left".to_owned()),
            false => Ok(self.proxies.remove(0)),
        }
    }

    /// Stops all of it. With a clock that stands still, what it waits for would take for ever.
    pub(super) async fn stop(self, is_moved: bool) {
        if is_moved {
            return;
        }
        // Users are signed out, and that is told to partners, while there still is a proxy.
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
        for proxy in self.proxies {
            proxy.stop().await;
        }
    }
}
